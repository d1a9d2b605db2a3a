"""Captures of thumbnails."""

from __future__ import annotations

import torch
from torch import Tensor

from dpl_nas.gallery.captures import capture


def discs(count: int) -> Tensor:
    """Opaque white discs with black surroundings that nobody sees."""
    axis = torch.arange(48) - 23.5
    inside = axis.square().view(1, -1) + axis.square().view(-1, 1) < 22**2
    return (inside * 255).to(torch.uint8).view(1, 48, 48, 1).expand(count, -1, -1, 4).clone()


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_same_seed_gives_the_same_captures() -> None:
    first, again, other = (capture(discs(40), 32, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_captures_are_images_of_the_asked_size() -> None:
    for size in (16, 32, 48):
        images = capture(discs(3), size, seeded(0))
        assert images.shape == (3, 3, size, size)
        assert images.min() >= 0
        assert images.max() <= 1


def test_captures_of_one_thumbnail_differ_in_place_and_size() -> None:
    images = capture(discs(200), 32, seeded(3))
    white = (images.amin(1) > 0.9 * images.amin(1).amax((1, 2), keepdim=True)).float()
    shares = white.mean((1, 2))
    assert shares.std() > 0.03
    columns = (white * torch.arange(32)).sum((1, 2)) / white.sum((1, 2)).clamp(min=1)
    assert columns.std() > 1


def test_what_nobody_sees_does_not_darken_the_edges() -> None:
    black, white = discs(50), discs(50)
    white[..., :3] = 255
    assert (capture(white, 32, seeded(4)) - capture(black, 32, seeded(4))).abs().max() < 1e-6


def test_the_middle_shows_the_thumbnail() -> None:
    red = discs(100)
    red[..., 1:3] = 0
    images = capture(red, 32, seeded(5))
    middle = images[:, :, 14:18, 14:18].mean((2, 3))
    assert (middle[:, 0] > 2 * middle[:, 1:].amax(1)).float().mean() > 0.95
