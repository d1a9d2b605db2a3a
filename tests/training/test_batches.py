import copy
import threading
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from dpl_nas.backbone import Backbone
from dpl_nas.config import Augmentation
from dpl_nas.errors import TaskError
from dpl_nas.mini.model import mini_preprocess
from dpl_nas.training.batches import FewShotImages, balanced_rows, endless_rows, epoch_rows


class Photographs:
    """Noise of many sizes; counts how often each is decoded, and by which thread."""

    def __init__(self, count: int = 12, damaged: int | None = None) -> None:
        self.labels: Sequence[int] = [index % 3 for index in range(count)]
        self.decoded: Counter[int] = Counter()
        self.threads: Counter[str] = Counter()
        self.damaged = damaged

    def image(self, index: int) -> Image.Image:
        if index == self.damaged:
            raise TaskError("not a readable image")
        self.decoded[index] += 1
        self.threads[threading.current_thread().name] += 1
        draw = np.random.default_rng(index)
        size = (*draw.integers(10, 90, 2), 3)
        return Image.fromarray(draw.integers(0, 256, size, dtype=np.uint8))


def gamma(image: Image.Image) -> Tensor:
    """A test transform that no mean and standard deviation describe."""
    pixels = torch.from_numpy(np.array(image.resize((24, 24)))).permute(2, 0, 1) / 255
    return pixels**2.2


def picky(image: Image.Image) -> Tensor:
    """The same for some images only."""
    pixels = torch.from_numpy(np.array(image.resize((24, 24)))).permute(2, 0, 1) / 255
    return pixels if pixels[0, 0, 0] < 0.5 else pixels**2.2


@pytest.fixture(params=[None, mini_preprocess(), gamma, picky], ids=["clip", "mini", "gamma", "x"])
def backbone(request: pytest.FixtureRequest, small_backbone: Backbone) -> Backbone:
    if request.param is None:
        return small_backbone
    return Backbone.from_model(small_backbone.model, preprocess=request.param)


@pytest.mark.parametrize("kept_bytes", [0, 5 * 3 * 24 * 24, 2**30])
def test_plain_pixels_are_the_test_transforms(backbone: Backbone, kept_bytes: int) -> None:
    photographs = Photographs()
    indices, rows = [11, 3, 4, 0, 7, 9, 2], [6, 0, 1, 2, 1, 4]
    few = FewShotImages(photographs, indices, backbone, "none", kept_bytes=kept_bytes)
    images, labels = few.batch(rows, seed=1)
    picked = [indices[row] for row in rows]
    expected = torch.stack([backbone.preprocess(photographs.image(i)) for i in picked])
    assert images.dtype == torch.float32
    assert images.is_contiguous()
    assert torch.equal(images, expected)
    assert labels.tolist() == [i % 3 for i in picked] == few.labels[rows].tolist()
    assert len(few) == 7
    if backbone.preprocess not in (gamma, picky):
        assert {image.dtype for image in few._kept} <= {torch.uint8}


@pytest.mark.parametrize("augmentation", ["none", "crop", "crop_flip"])
def test_memory_is_bounded_and_changes_nothing(
    small_backbone: Backbone, augmentation: Augmentation
) -> None:
    jobs = [(rows, step) for step, rows in enumerate(epoch_rows(12, 5, seed=1, epoch=0))]
    results = []
    for bound in (0, 20_000, 2**30):
        photographs = Photographs()
        few = FewShotImages(photographs, range(12), small_backbone, augmentation, kept_bytes=bound)
        assert sum(image.nbytes for image in few._kept) <= bound
        assert (0 < len(few._kept) < 12) == (bound == 20_000)
        assert {image.dtype for image in few._kept} <= {torch.uint8}
        photographs.decoded.clear()
        results.append([images for images, _ in few.batches(jobs)])
        assert photographs.decoded.total() == 12 - len(few._kept)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


@pytest.mark.parametrize("augmentation", ["none", "crop", "crop_flip"])
def test_batches_are_decided_by_their_seed_alone(
    small_backbone: Backbone, augmentation: Augmentation
) -> None:
    few = FewShotImages(Photographs(), range(12), small_backbone, augmentation)
    rows = list(range(12))
    state = torch.get_rng_state()
    first, _ = few.batch(rows, seed=2**63 - 1)
    assert torch.equal(state, torch.get_rng_state())
    torch.rand(3)
    again, _ = few.batch(rows, seed=2**63 - 1)
    other, _ = few.batch(rows, seed=1)
    assert first.shape == (12, 3, 24, 24)
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (augmentation == "none")


@pytest.mark.parametrize("augmentation", ["none", "crop_flip"])
@pytest.mark.parametrize("kept_bytes", [0, 2**30])
def test_a_thread_prepares_only_where_there_is_work(
    small_backbone: Backbone, augmentation: Augmentation, kept_bytes: int
) -> None:
    def running() -> int:
        return sum(each.name.startswith("prefetch") for each in threading.enumerate())

    few = FewShotImages(
        Photographs(), range(12), small_backbone, augmentation, kept_bytes=kept_bytes
    )
    jobs = [(rows, 7 + step) for step, rows in enumerate(epoch_rows(12, 2, seed=1, epoch=0))]
    batches = few.batches(jobs)
    for (rows, seed), (images, labels) in zip(jobs[:3], batches, strict=False):
        expected = few.batch(rows, seed)
        assert torch.equal(images, expected[0])
        assert torch.equal(labels, expected[1])
        assert running() == (augmentation != "none" or kept_bytes == 0)
    batches.close()
    assert running() == 0


def test_damaged_images_are_told_where_batches_are_asked_for(small_backbone: Backbone) -> None:
    with pytest.raises(TaskError, match="not a readable image"):
        FewShotImages(Photographs(damaged=5), range(12), small_backbone, "crop")
    few = FewShotImages(Photographs(damaged=5), range(12), small_backbone, "crop", kept_bytes=0)
    batches = few.batches([([0, 1], 0), ([5], 1)])
    next(batches)
    with pytest.raises(TaskError, match="not a readable image"):
        next(batches)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 9), st.integers(0, 9))
def test_an_epoch_has_every_row_once(count: int, size: int, seed: int, epoch: int) -> None:
    batches = epoch_rows(count, size, seed, epoch)
    assert sorted(row for rows in batches for row in rows) == list(range(count))
    assert [len(rows) for rows in batches[:-1]] == [size] * (len(batches) - 1)
    endless = endless_rows(count, size, seed, epoch)
    seen = Counter(row for _ in range(20) for row in next(endless))
    assert max(seen.values()) - min(seen[row] for row in range(count)) <= 1


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=40),
    st.integers(1, 50),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_balanced_batches_have_classes_equally_often(
    labels: list[int], size: int, seed: int, epoch: int
) -> None:
    batches = balanced_rows(labels, size, seed, epoch)
    plain = epoch_rows(len(labels), size, seed, epoch)
    assert [len(rows) for rows in batches] == [len(rows) for rows in plain]
    order = [row for rows in batches for row in rows]
    times = Counter(labels[row] for row in order)
    assert max(times.values()) - min(times[label] for label in set(labels)) <= 1
    for label in set(labels):
        seen = Counter(row for row in order if labels[row] == label)
        rows = [row for row, of in enumerate(labels) if of == label]
        assert max(seen.values(), default=0) - min(seen[row] for row in rows) <= 1
    assert balanced_rows(labels, size, seed, epoch) == batches


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("augmentation", ["none", "crop_flip"])
def test_a_gpu_gets_the_same_pixels(small_backbone: Backbone, augmentation: Augmentation) -> None:
    model = copy.deepcopy(small_backbone.model)
    on_gpu = Backbone.from_model(model, preprocess=small_backbone.preprocess).to("cuda")
    on_gpu.mean, on_gpu.std = small_backbone.mean, small_backbone.std
    jobs = [(rows, step) for step, rows in enumerate(epoch_rows(12, 5, seed=1, epoch=0))]
    one, other = (
        FewShotImages(Photographs(), range(12), backbone, augmentation).batches(jobs)
        for backbone in (small_backbone, on_gpu)
    )
    for (images, labels), (copied, copied_labels) in zip(one, other, strict=True):
        assert copied.is_cuda
        assert torch.equal(images, copied.cpu())
        assert torch.equal(labels, copied_labels.cpu())
