"""Random resized crops of a whole batch, decided by a generator of its own.

Equal to torchvision's: boxes have the distribution of ``RandomResizedCrop.get_params``, and
pixels are those of ``functional.resized_crop`` (bicubic, antialiased, uint8) bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["augment", "bound", "resized_crops", "sample_boxes"]

#: CoOp's random resized crop, which the field trains with.
_SCALE = (0.08, 1.0)
_RATIO = (3 / 4, 4 / 3)
_TRIES = 10
_ALL = slice(None)


def augment(
    images: Sequence[Tensor],
    size: int,
    generator: torch.Generator,
    *,
    flip: bool,
    part: slice = _ALL,
    count: int | None = None,
) -> Tensor:
    """Crops (batch, 3, size, size), uint8, of images (height, width, 3), uint8.

    With ``flip``, every other one on average is mirrored. Images that are only the rows ``part``
    of a batch of ``count`` get what they would get among all.
    """
    count = len(images) if count is None else count
    sizes = torch.tensor([image.shape[:2] for image in images])
    boxes = sample_boxes(sizes, generator, part=part, count=count)
    crops = resized_crops(images, boxes, size)
    if flip:
        mirrored = (torch.rand(count, generator=generator) < 0.5)[part]
        crops[mirrored] = crops[mirrored].flip(-1)
    return crops


def sample_boxes(
    sizes: Tensor,
    generator: torch.Generator,
    *,
    part: slice = _ALL,
    count: int | None = None,
) -> Tensor:
    """Boxes (batch, 4) of top, left, height, width in images of sizes (batch, 2).

    The area is uniform in 0.08..1 of the image's and the ratio log-uniform in 3/4..4/3; of
    ten such draws the first that fits is taken, or else the largest centred box of a legal
    ratio. All are int64 pixels, heights before widths. ``part`` and ``count`` as for
    :func:`augment`.
    """
    count = len(sizes) if count is None else count
    height, width = sizes[:, 0], sizes[:, 1]
    draws = torch.rand(count, _TRIES, 2, generator=generator, dtype=torch.float64)[part]
    place = torch.rand(count, 2, generator=generator, dtype=torch.float64)[part]
    area = (_SCALE[0] + (_SCALE[1] - _SCALE[0]) * draws[..., 0]) * (height * width)[:, None]
    low, high = map(math.log, _RATIO)
    ratio = (low + (high - low) * draws[..., 1]).exp()
    tries = torch.stack([(area / ratio).sqrt(), (area * ratio).sqrt()], dim=-1).round().long()
    fits = ((tries > 0) & (tries <= sizes[:, None])).all(dim=-1)
    # argmax finds the first of equals.
    chosen = tries[torch.arange(len(sizes)), fits.int().argmax(dim=1)]
    found = fits.any(dim=1, keepdim=True)

    shape = width / height
    centred = torch.stack(
        [
            torch.where(shape < _RATIO[0], (width / _RATIO[0]).round().long(), height),
            torch.where(shape > _RATIO[1], (height * _RATIO[1]).round().long(), width),
        ],
        dim=-1,
    )
    box = torch.where(found, chosen, centred)
    room = sizes - box
    corner = torch.where(found, (place * (room + 1)).long(), room // 2)
    return torch.cat([corner, box], dim=-1)


def resized_crops(images: Sequence[Tensor], boxes: Tensor, size: int) -> Tensor:
    """Crop and resize each image's box: (height, width, 3) to (batch, 3, size, size), uint8."""
    crops = torch.empty(len(images), 3, size, size, dtype=torch.uint8)
    # One by one, since every box has a shape of its own. As products with a batch of dense
    # matrices it takes 30 times longer, channels before rows and columns twice as long.
    for crop, image, (top, left, height, width) in zip(crops, images, boxes.tolist(), strict=True):
        crop.copy_(_resize(image[top : top + height, left : left + width], size, size))
    return crops


def bound(image: Tensor, shorter: int) -> Tensor:
    """``image`` (height, width, 3), shrunk so that its shorter side is at most ``shorter``."""
    height, width = image.shape[:2]
    scale = shorter / min(height, width)
    if scale >= 1:
        return image
    resized = _resize(image, round(height * scale), round(width * scale))
    return resized.permute(1, 2, 0).contiguous()


def _resize(image: Tensor, height: int, width: int) -> Tensor:
    return functional.interpolate(
        image.permute(2, 0, 1)[None], (height, width), mode="bicubic", antialias=True
    )[0]
