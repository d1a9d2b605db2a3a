"""Thumbnails redrawn at random."""

from __future__ import annotations

import torch

from dpl_nas.mini.restyle import restyle


def _discs(count: int) -> torch.Tensor:
    axis = torch.linspace(-1, 1, 48)
    inside = axis.view(1, 48) ** 2 + axis.view(48, 1) ** 2 < 0.6
    pixels = torch.zeros(count, 48, 48, 4, dtype=torch.uint8)
    pixels[:, inside] = torch.tensor([220, 60, 30, 255], dtype=torch.uint8)
    return pixels


def test_form_is_kept_and_what_is_transparent_is_black() -> None:
    pixels = _discs(64)
    drawn = restyle(pixels, torch.Generator().manual_seed(1))
    assert drawn.shape == pixels.shape
    assert drawn.dtype == torch.uint8
    assert (drawn[..., :3][drawn[..., 3] == 0] == 0).all()
    # Nothing is drawn far from the disc.
    assert (drawn[:, :2, :2, 3] == 0).all()


def test_most_change_some_do_not_and_the_seed_decides() -> None:
    pixels = _discs(64)
    one, two = (restyle(pixels, torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(one, two)
    changed = (one != pixels).flatten(1).any(dim=1)
    assert 32 < changed.sum() < 64
    assert torch.equal(pixels, _discs(64))
