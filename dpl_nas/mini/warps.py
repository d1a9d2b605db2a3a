"""Systematic changes of finished images ``(b, 3, h, w)``, the same for every one.

They are what a task adds to the scenes of pre-training: nothing is lost, but what the model
knows no longer fits, so that a few examples can teach it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "filter_colours",
    "mirror",
    "squeeze",
    "swap_halves",
    "tile",
    "tilt",
    "turn_upside_down",
]


def turn_upside_down(images: Tensor) -> Tensor:
    """Turned by half a turn."""
    return images.flip(2, 3)


def mirror(images: Tensor) -> Tensor:
    """Left and right exchanged."""
    return images.flip(3)


def swap_halves(images: Tensor) -> Tensor:
    """Cut down the middle, the halves exchanged."""
    return images.roll(images.shape[3] // 2, 3)


def tile(images: Tensor) -> Tensor:
    """Four small copies."""
    return functional.interpolate(images, scale_factor=0.5, mode="area").repeat(1, 1, 2, 2)


def filter_colours(images: Tensor) -> Tensor:
    """Red shown as green, green as blue, blue as red."""
    return images.roll(1, 1)


def tilt(images: Tensor, degrees: float) -> Tensor:
    """Turned about the middle; what comes in at the corners repeats the border."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return _mapped(images, [[cosine, -sine, 0.0], [sine, cosine, 0.0]])


def squeeze(images: Tensor, share: float) -> Tensor:
    """Narrowed to ``share`` of the width."""
    return _mapped(images, [[1 / share, 0.0, 0.0], [0.0, 1.0, 0.0]])


def _mapped(images: Tensor, matrix: list[list[float]]) -> Tensor:
    theta = torch.tensor(matrix).expand(len(images), 2, 3)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
