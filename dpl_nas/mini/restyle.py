"""Thumbnails as other artists might have drawn them: other colours, outlines, shades.

Pre-training sees three artists' drawings, and the tasks show others'. What changes from one
artist to the next is changed here at random, so that it tells nothing of what a drawing shows.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.draws import draw_uniform

__all__ = ["restyle"]

#: Weights of red, green and blue in brightness.
_LUMA = (0.299, 0.587, 0.114)
_OUTLINED, _LINES_ONLY, _RECOLOURED, _GREY, _SHADED, _SOFT = 0.2, 0.12, 0.3, 0.1, 0.3, 0.2

_Change = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


def restyle(thumbnails: Tensor, generator: torch.Generator) -> Tensor:
    """Redraw some of the thumbnails.

    Parameters
    ----------
    thumbnails
        RGBA pixels ``(n, s, s, 4)`` uint8, black where they are transparent.

    Returns
    -------
    Tensor
        The same shape and type; black where they are transparent.
    """
    pixels = thumbnails.permute(0, 3, 1, 2).float() / 255
    colour, alpha = pixels[:, :3].clone(), pixels[:, 3:].clone()
    for share, change in (
        (_RECOLOURED, _recolour),
        (_GREY, _bleach),
        (_SHADED, _shade),
        (_OUTLINED, _outline),
        (_LINES_ONLY, _trace),
        (_SOFT, _soften),
    ):
        rows = torch.rand(len(colour), generator=generator) < share
        if rows.any():
            colour[rows], alpha[rows] = change(colour[rows], alpha[rows], generator)
    drawn = torch.cat((colour * (alpha > 0), alpha), dim=1).clamp(0, 1)
    return (255 * drawn).round().to(torch.uint8).permute(0, 2, 3, 1)


def _brightness(colour: Tensor) -> Tensor:
    return torch.einsum("nchw,c->nhw", colour, torch.tensor(_LUMA)).unsqueeze(1)


def _recolour(colour: Tensor, alpha: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mix the channels a little, and change contrast and brightness."""
    count = len(colour)
    mix = torch.eye(3) + 0.25 * torch.randn(count, 3, 3, generator=generator)
    mix = mix / mix.sum(dim=2, keepdim=True).abs().clamp(min=0.5)
    mixed = torch.einsum("nchw,ndc->ndhw", colour, mix)
    mixed = (mixed - 0.5) * draw_uniform((count, 1, 1, 1), 0.6, 1.3, generator) + 0.5
    return (mixed + draw_uniform((count, 1, 1, 1), -0.15, 0.15, generator)).clamp(0, 1), alpha


def _bleach(colour: Tensor, alpha: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    kept = draw_uniform((len(colour), 1, 1, 1), 0, 0.5, generator)
    grey = _brightness(colour)
    return grey + kept * (colour - grey), alpha


def _shade(colour: Tensor, alpha: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Light the drawing from a side, as if it had depth."""
    count, size = len(colour), colour.shape[-1]
    axis = torch.linspace(-1, 1, size)
    turn = draw_uniform((count, 1, 1, 1), 0, 2 * torch.pi, generator)
    slope = axis.view(1, size) * turn.cos() + axis.view(size, 1) * turn.sin()
    lit = colour + draw_uniform((count, 1, 1, 1), 0.1, 0.35, generator) * slope
    return lit.clamp(0, 1), alpha


def _spread(mask: Tensor) -> Tensor:
    return functional.max_pool2d(mask, 3, stride=1, padding=1)


def _edges(colour: Tensor, alpha: Tensor) -> Tensor:
    """Return how much of an edge goes through each pixel, 0..1: of the shape or of its parts."""
    light = _brightness(colour) * alpha + (1 - alpha)
    inner = _spread(light) + _spread(-light)
    outer = _spread(alpha) + _spread(-alpha)
    return torch.maximum(((inner - 0.12) / 0.25).clamp(0, 1), outer)


def _outline(colour: Tensor, alpha: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    ink = _edges(colour, alpha)
    dark = draw_uniform((len(colour), 1, 1, 1), 0, 0.3, generator)
    return colour * (1 - ink) + dark * ink, torch.maximum(alpha, ink)


def _trace(colour: Tensor, alpha: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Leave black lines only, on white or on nothing."""
    ink = _edges(colour, alpha)
    dark = draw_uniform((len(colour), 1, 1, 1), 0, 0.2, generator)
    filled = (torch.rand(len(colour), 1, 1, 1, generator=generator) < 0.5).float()
    paper = 1 - ink + dark * ink
    return paper.expand_as(colour).clone(), torch.maximum(ink, filled * alpha)


def _soften(colour: Tensor, alpha: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    layers = torch.cat((colour * alpha, alpha), dim=1)
    blurred = functional.avg_pool2d(functional.pad(layers, (1, 1, 1, 1)), 3, stride=1)
    soft = layers.lerp(blurred, draw_uniform((len(colour), 1, 1, 1), 0.3, 1, generator))
    return soft[:, :3] / soft[:, 3:].clamp(min=1e-3), soft[:, 3:]
