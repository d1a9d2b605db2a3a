"""Rendering of batches of scenes: silhouettes with textures, styles, backgrounds and light."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "COLOURS",
    "FILLED",
    "IMAGE_SIZE",
    "OUTLINE",
    "SKETCH",
    "TEXTURES",
    "Light",
    "Scene",
    "render",
]

IMAGE_SIZE = 32

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.85, 0.10, 0.10),
    "green": (0.10, 0.65, 0.15),
    "blue": (0.10, 0.20, 0.85),
    "yellow": (0.95, 0.90, 0.15),
    "orange": (0.98, 0.55, 0.08),
    "purple": (0.50, 0.12, 0.60),
    "pink": (0.98, 0.60, 0.78),
    "brown": (0.45, 0.26, 0.10),
    "cyan": (0.15, 0.85, 0.90),
    "black": (0.05, 0.05, 0.05),
    "white": (0.97, 0.97, 0.97),
    "grey": (0.50, 0.50, 0.50),
}
TEXTURES = ("plain", "striped", "dotted", "checkered", "speckled", "wavy")
FILLED, OUTLINE, SKETCH = 0, 1, 2
_BACKGROUNDS = 4


@dataclass(frozen=True)
class Light:
    """Strength of the disturbances of a rendered image; each is the end of a uniform range.

    Attributes
    ----------
    dim
        Dimming: the image is multiplied by 1 - u, u up to ``dim``.
    gradient
        Slope of a linear illumination across the image.
    tint
        Largest change of one colour channel.
    noise
        Largest standard deviation of pixel noise.
    blur, coarse
        Probability of a blur, and of being rendered at 8x8 or 16x16 and scaled up.
    """

    dim: float = 0.25
    gradient: float = 0.3
    tint: float = 0.12
    noise: float = 0.06
    blur: float = 0.15
    coarse: float = 0.0


@dataclass
class Scene:
    """A batch of ``b`` scenes of up to ``k`` objects; pixels run over 0..IMAGE_SIZE.

    Attributes
    ----------
    tiles
        Signed distances, ``(b, k, ATLAS_SIZE, ATLAS_SIZE)``.
    present
        Mask of the objects that exist, ``(b, k)`` bool.
    centre, radius, angle, aspect
        ``(b, k, 2)`` and ``(b, k)``: pixels, pixels, radians, width over height.
    colour, second
        RGB of an object and of its texture's second tone, ``(b, k, 3)`` in 0..1.
    texture, style
        Indices, ``(b, k)``: into `TEXTURES`; `FILLED`, `OUTLINE` or `SKETCH`.
    weight
        Added to the silhouette's edge, ``(b, k)``, pixels: stroke-width variation.
    bend
        Amplitude of an elastic distortion, ``(b, k)``, in half-widths of a tile.
    ground, ground_second, ground_kind
        Background RGB ``(b, 3)``, second tone ``(b, 3)`` and kind ``(b,)``.
    """

    tiles: Tensor
    present: Tensor
    centre: Tensor
    radius: Tensor
    angle: Tensor
    aspect: Tensor
    colour: Tensor
    second: Tensor
    texture: Tensor
    style: Tensor
    weight: Tensor
    bend: Tensor
    ground: Tensor
    ground_second: Tensor
    ground_kind: Tensor
    light: Light = field(default_factory=Light)


def _axes() -> tuple[Tensor, Tensor]:
    steps = torch.arange(IMAGE_SIZE, dtype=torch.float32) + 0.5
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return x, y


def _field(shape: tuple[int, ...], cells: int, generator: torch.Generator) -> Tensor:
    """Return smooth noise of unit scale, ``(*shape, IMAGE_SIZE, IMAGE_SIZE)``."""
    flat = torch.randn(math.prod(shape), 1, cells, cells, generator=generator)
    size = (IMAGE_SIZE, IMAGE_SIZE)
    smooth = functional.interpolate(flat, size=size, mode="bilinear", align_corners=True)
    return smooth.view(*shape, *size)


def _pattern(x: Tensor, y: Tensor, kind: Tensor, generator: torch.Generator) -> Tensor:
    """Return the share of the second tone, ``(n, IMAGE_SIZE, IMAGE_SIZE)`` in 0..1."""
    n = kind.shape[0]

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, 1, 1, generator=generator)

    turn, period = uniform(0, 2 * math.pi), uniform(4.0, 7.5)
    wave = 2 * math.pi / period
    u = (x * turn.cos() + y * turn.sin()) * wave + uniform(0, 2 * math.pi)
    v = (y * turn.cos() - x * turn.sin()) * wave + uniform(0, 2 * math.pi)
    grain = torch.rand(n, 1, IMAGE_SIZE // 2, IMAGE_SIZE // 2, generator=generator)
    grain = functional.interpolate(grain, scale_factor=2, mode="nearest")[:, 0]
    pick = kind.view(n, 1, 1)
    value = torch.where(pick == 1, u.sin(), torch.full_like(u, -10.0))
    value = torch.where(pick == 2, u.sin() + v.sin() - 0.7, value)
    value = torch.where(pick == 3, 1.5 * u.sin() * v.sin(), value)
    value = torch.where(pick == 4, 4 * (grain - 0.6), value)
    value = torch.where(pick == 5, (u + 1.6 * (0.7 * v).sin()).sin(), value)
    return (5 * value).sigmoid()


def _objects(scene: Scene, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return colours ``(b, k, 3, s, s)`` and coverage ``(b, k, s, s)`` of every object."""
    b, k = scene.present.shape
    x, y = _axes()

    def wide(values: Tensor) -> Tensor:
        return values.reshape(b * k, 1, 1)

    dx = x - wide(scene.centre[..., 0])
    dy = y - wide(scene.centre[..., 1])
    cos, sin = wide(scene.angle).cos(), wide(scene.angle).sin()
    stretch = wide(scene.aspect).sqrt()
    # A tile spans [-1, 1] while its silhouette ends at 0.8 of it.
    scale = wide(scene.radius) / 0.8
    u = (dx * cos + dy * sin) / (scale * stretch)
    v = (dy * cos - dx * sin) * stretch / scale
    bend = wide(scene.bend)
    if bool((bend > 0).any()):
        u = u + bend * _field((b * k,), 4, generator)
        v = v + bend * _field((b * k,), 4, generator)
    tiles = scene.tiles.reshape(b * k, 1, *scene.tiles.shape[-2:])
    grid = torch.stack((u, v), dim=-1)
    distance = functional.grid_sample(
        tiles, grid, mode="bilinear", padding_mode="border", align_corners=False
    )[:, 0]
    # Beyond the tile the border's distance repeats, plus the distance to the border.
    outside = (grid.abs() - 1).clamp(min=0).amax(dim=-1)
    pixels = (distance + outside) * scale - wide(scene.weight)
    style = wide(scene.style)
    stroke = (pixels + 0.9).abs() - 1.1
    coverage = torch.where(style == OUTLINE, stroke, pixels)
    if bool((style == SKETCH).any()):
        wobble = _field((2, b * k), 7, generator)
        lines = (pixels + 0.8 + 1.1 * wobble).abs().amin(dim=0) - 0.75
        coverage = torch.where(style == SKETCH, lines, coverage)
    coverage = (0.5 - coverage).clamp(0, 1) * wide(scene.present.float())
    share = _pattern(dx, dy, scene.texture.reshape(-1), generator).unsqueeze(1)
    colour = scene.colour.reshape(b * k, 3, 1, 1)
    second = scene.second.reshape(b * k, 3, 1, 1)
    tone = colour + share * (second - colour)
    s = IMAGE_SIZE
    return tone.view(b, k, 3, s, s), coverage.view(b, k, s, s)


def _ground(scene: Scene, generator: torch.Generator) -> Tensor:
    b = scene.ground.shape[0]
    x, y = _axes()
    turn = 2 * math.pi * torch.rand(b, 1, 1, generator=generator)
    ramp = ((x - 16) * turn.cos() + (y - 16) * turn.sin()) / 44 + 0.5
    blotches = (0.9 * _field((b,), 5, generator)).sigmoid()
    lines = _pattern(x.expand(b, -1, -1), y.expand(b, -1, -1), torch.ones(b), generator)
    kind = scene.ground_kind.view(b, 1, 1)
    share = torch.where(kind == 1, ramp, torch.zeros_like(ramp))
    share = torch.where(kind == 2, blotches, share)
    share = torch.where(kind == 3, lines, share).unsqueeze(1)
    first = scene.ground.view(b, 3, 1, 1)
    return first + share * (scene.ground_second.view(b, 3, 1, 1) - first)


def _scale_up(images: Tensor, size: int) -> Tensor:
    small = functional.adaptive_avg_pool2d(images, size)
    return functional.interpolate(
        small, size=(IMAGE_SIZE, IMAGE_SIZE), mode="bicubic", align_corners=False
    )


def _lit(images: Tensor, light: Light, generator: torch.Generator) -> Tensor:
    b = images.shape[0]
    x, y = _axes()

    def uniform(*shape: int) -> Tensor:
        return torch.rand(b, *shape, generator=generator)

    if light.coarse > 0:
        draw = uniform(1, 1, 1)
        images = torch.where(draw < 0.7 * light.coarse, _scale_up(images, 8), images)
        middle = (draw >= 0.7 * light.coarse) & (draw < light.coarse)
        images = torch.where(middle, _scale_up(images, 16), images)
    if light.blur > 0:
        blurred = functional.avg_pool2d(
            functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1
        )
        images = torch.where(uniform(1, 1, 1) < light.blur, blurred, images)
    turn = 2 * math.pi * uniform(1, 1, 1)
    slope = ((x - 16) * turn.cos() + (y - 16) * turn.sin()) / 16
    images = images * (1 - light.dim * uniform(1, 1, 1))
    images = images * (1 + light.gradient * uniform(1, 1, 1) * slope)
    images = images * (1 + light.tint * (2 * uniform(3, 1, 1) - 1))
    grain = torch.randn(images.shape, generator=generator)
    return (images + light.noise * uniform(1, 1, 1) * grain).clamp(0, 1)


def render(scene: Scene, generator: torch.Generator) -> Tensor:
    """Draw every scene; later objects cover earlier ones.

    Returns
    -------
    Tensor
        RGB images ``(b, 3, IMAGE_SIZE, IMAGE_SIZE)`` in 0..1.
    """
    images = _ground(scene, generator)
    tones, coverage = _objects(scene, generator)
    for index in range(scene.present.shape[1]):
        alpha = coverage[:, index].unsqueeze(1)
        images = images + alpha * (tones[:, index] - images)
    return _lit(images, scene.light, generator)
