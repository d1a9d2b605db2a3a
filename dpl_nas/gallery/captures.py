"""Captures: thumbnails laid on a background and photographed, so to speak.

A capture is a picture of a drawing, not another drawing: many captures of one drawing are worth
less than as many drawings.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.draws import draw_uniform

__all__ = ["capture"]

#: The share of the frame's width that a thumbnail takes.
_SIZES = (0.6, 1.0)
_TURN = math.radians(20)
_SHEAR = 0.15
#: Brightness of backgrounds, on which black lines stay visible; largest departure from grey.
_BRIGHT, _TINGE = (0.5, 0.95), 0.12
#: Largest change of a background across the frame, and of its texture.
_SLOPE, _TEXTURE = 0.12, 0.05
_DIM, _LIGHT, _TINT, _NOISE = 0.2, 0.2, 0.08, 0.03
_BLURRED = 0.15


def capture(thumbnails: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Draw each thumbnail into a frame: place, size, turn, shear, background and light are random.

    Parameters
    ----------
    thumbnails
        RGBA pixels ``(n, s, s, 4)`` uint8, black where they are transparent.
    size
        Width and height of the frames.
    generator
        What the draws come from, on the CPU: the same seed gives the same captures.

    Returns
    -------
    Tensor
        RGB images ``(n, 3, size, size)`` in 0..1.
    """
    count = len(thumbnails)
    layers = thumbnails.to(torch.float32) / 255
    # With the colours multiplied by alpha, what nobody sees does not bleed into the edges.
    layers[..., :3] *= layers[..., 3:]
    # Thumbnails are larger than frames: points between those that are sampled count, too.
    layers = (layers[:, 1:] + layers[:, :-1]) / 2
    layers = ((layers[:, :, 1:] + layers[:, :, :-1]) / 2).permute(0, 3, 1, 2)
    frame = [count, 4, size, size]
    grid = functional.affine_grid(_placements(count, generator), frame, align_corners=False)
    drawn = functional.grid_sample(layers, grid, align_corners=False)
    images = drawn[:, :3] + (1 - drawn[:, 3:]) * _backgrounds(count, size, generator)
    return _lit(images, generator)


def _placements(count: int, generator: torch.Generator) -> Tensor:
    """Return where in a thumbnail the points of its frame are, ``(count, 2, 3)``."""
    share = draw_uniform((count,), *_SIZES, generator)
    turn = draw_uniform((count,), -_TURN, _TURN, generator)
    shear = draw_uniform((count,), -_SHEAR, _SHEAR, generator)
    room = 1 - share
    x, y = (room * draw_uniform((count,), -1, 1, generator) for _ in range(2))
    cosine, sine = turn.cos() / share, turn.sin() / share
    matrix = torch.stack((cosine, sine + shear * cosine, -sine, cosine - shear * sine), dim=1).view(
        count, 2, 2
    )
    moved = -(matrix @ torch.stack((x, y), dim=1).unsqueeze(2))
    return torch.cat((matrix, moved), dim=2)


def _backgrounds(count: int, size: int, generator: torch.Generator) -> Tensor:
    bright = draw_uniform((count,), *_BRIGHT, generator).view(count, 1, 1, 1)
    tinge = _TINGE * (2 * torch.rand(count, 3, 1, 1, generator=generator) - 1)
    slope = _SLOPE * _ramps(count, size, generator)
    coarse = torch.randn(count, 1, 6, 6, generator=generator)
    texture = functional.interpolate(coarse, size=(size, size), mode="bilinear")
    strength = _TEXTURE * torch.rand(count, 1, 1, 1, generator=generator)
    return (bright + tinge + slope + strength * texture).clamp(0, 1)


def _ramps(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Return slopes of random directions and steepness, ``(count, 1, size, size)`` in -1..1."""
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    turn = draw_uniform((count,), 0, 2 * math.pi, generator).view(count, 1, 1, 1)
    steep = torch.rand(count, 1, 1, 1, generator=generator) / math.sqrt(2)
    return steep * (axis.view(1, size) * turn.cos() + axis.view(size, 1) * turn.sin())


def _lit(images: Tensor, generator: torch.Generator) -> Tensor:
    count, _, size, _ = images.shape

    def chance(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator)

    blurred = torch.rand(count, generator=generator) < _BLURRED
    sharp = images[blurred]
    padded = functional.pad(sharp, (1, 1, 1, 1), mode="replicate")
    images[blurred] = (sharp + functional.avg_pool2d(padded, 3, stride=1)) / 2
    images = images * (1 - _DIM * chance(1, 1, 1))
    images = images * (1 + _LIGHT * _ramps(count, size, generator))
    images = images * (1 + _TINT * (2 * chance(3, 1, 1) - 1))
    grain = torch.randn(images.shape, generator=generator)
    return (images + _NOISE * chance(1, 1, 1) * grain).clamp(0, 1)
