import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

from dpl_nas.training.augmentation import augment, bound, resized_crops, sample_boxes

SEEDS = st.integers(0, 2**63 - 1)
SIDES = st.integers(1, 90)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photograph(height: int, width: int, seed: int) -> Tensor:
    pixels = torch.randint(0, 256, (height, width, 3), generator=generator(seed))
    return pixels.to(torch.uint8)


@settings(deadline=None)
@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=8), SEEDS)
def test_boxes_are_legal(sizes: list[tuple[int, int]], seed: int) -> None:
    boxes = sample_boxes(torch.tensor(sizes), generator(seed))
    for (image_height, image_width), box in zip(sizes, boxes.tolist(), strict=True):
        top, left, height, width = box
        assert 0 <= top <= top + height <= image_height
        assert 0 <= left <= left + width <= image_width
        assert height > 0
        assert width > 0
        # Rounding moves each side by half a pixel.
        assert (width - 0.5) / (height + 0.5) <= 4 / 3 + 1e-9 or width == image_width
        assert (height - 0.5) / (width + 0.5) <= 4 / 3 + 1e-9 or height == image_height
    assert torch.equal(boxes, sample_boxes(torch.tensor(sizes), generator(seed)))


@pytest.mark.parametrize("size", [(448, 597), (300, 300), (40, 100), (100, 20), (3, 4)])
def test_boxes_are_distributed_as_torchvisions(size: tuple[int, int]) -> None:
    count = 2000
    ours = sample_boxes(torch.tensor([size] * count), generator(1)).numpy()
    crop = v2.RandomResizedCrop(1, scale=(0.08, 1.0))
    image = torch.empty(3, *size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        drawn = [crop.make_params([image]) for _ in range(count)]
    names = ("top", "left", "height", "width")
    theirs = np.array([[params[name] for name in names] for params in drawn])
    areas = (ours[:, 2:].prod(1), theirs[:, 2:].prod(1))
    for one, other in [*zip(ours.T, theirs.T, strict=True), areas]:
        assert stats.ks_2samp(one, other).pvalue > 1e-3


def test_an_image_that_no_try_fits_is_cropped_in_its_centre() -> None:
    sizes = torch.tensor([[1000, 20], [20, 1000]])
    boxes = sample_boxes(sizes, generator(0))
    assert boxes.tolist() == [[486, 0, 27, 20], [0, 486, 20, 27]]


@settings(deadline=None)
@given(st.integers(2, 90), st.integers(2, 90), st.integers(1, 48), SEEDS)
def test_crops_equal_torchvisions(height: int, width: int, size: int, seed: int) -> None:
    images = [photograph(height, width, seed), photograph(width, height, seed)]
    boxes = sample_boxes(torch.tensor([[height, width], [width, height]]), generator(seed))
    crops = resized_crops(images, boxes, size)
    for crop, image, box in zip(crops, images, boxes.tolist(), strict=True):
        expected = functional.resized_crop(
            image.permute(2, 0, 1),
            *box,
            size=[size, size],
            interpolation=InterpolationMode.BICUBIC,
            antialias=True,
        )
        assert torch.equal(crop, expected)


def test_half_of_the_crops_are_mirrored() -> None:
    images = [photograph(20, 24, seed) for seed in range(400)]
    plain = augment(images, 8, generator(3), flip=False)
    flipped = augment(images, 8, generator(3), flip=True)
    mirrored = (flipped == plain.flip(-1)).flatten(1).all(dim=1)
    assert ((flipped == plain).flatten(1).all(dim=1) ^ mirrored).all()
    assert 150 < int(mirrored.sum()) < 250


@pytest.mark.parametrize("size", [(448, 597), (500, 2000), (20, 10)])
def test_bounded(size: tuple[int, int]) -> None:
    image = photograph(*size, seed=0)
    kept = bound(image, 100)
    if min(size) <= 100:
        assert kept is image
    else:
        expected = functional.resize(
            image.permute(2, 0, 1), 100, interpolation=InterpolationMode.BICUBIC
        )
        assert kept.is_contiguous()
        # torchvision rounds the longer side down, we to the nearest.
        assert kept.shape[:2] in {expected.shape[1:], (100, expected.shape[2] + 1)}
