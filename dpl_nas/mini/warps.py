"""Systematic changes of finished images ``(b, 3, h, w)``, the same for every one.

Tasks apply them to the scenes of pre-training. No information is lost, but the model's
knowledge no longer fits, so that a few examples can teach it.
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
    """Turn images by 180 degrees."""
    return images.flip(2, 3)


def mirror(images: Tensor) -> Tensor:
    """Exchange left and right."""
    return images.flip(3)


def swap_halves(images: Tensor) -> Tensor:
    """Exchange the left and right halves."""
    return images.roll(images.shape[3] // 2, 3)


def tile(images: Tensor) -> Tensor:
    """Return four small copies of each image."""
    return functional.interpolate(images, scale_factor=0.5, mode="area").repeat(1, 1, 2, 2)


def filter_colours(images: Tensor) -> Tensor:
    """Show red as green, green as blue, blue as red."""
    return images.roll(1, 1)


def tilt(images: Tensor, degrees: float) -> Tensor:
    """Turn images about the middle; the corners are filled by repeating the border."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return _mapped(images, [[cosine, -sine, 0.0], [sine, cosine, 0.0]])


def squeeze(images: Tensor, share: float) -> Tensor:
    """Narrow images to ``share`` of the width."""
    return _mapped(images, [[1 / share, 0.0, 0.0], [0.0, 1.0, 0.0]])


def _mapped(images: Tensor, matrix: list[list[float]]) -> Tensor:
    theta = torch.tensor(matrix).expand(len(images), 2, 3)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
