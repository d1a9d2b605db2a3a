"""How long few-shot images take: decoded for every batch, as published, and as here.

    python -m benchmarks.data

The published pipeline (torchvision on every image of every batch) and ours are timed in
turns. ``alone`` is the time of a batch; ``step`` that of a batch and of a forward and backward pass
through the image tower, one after the other or (``prefetched``) the next batch meanwhile;
``no_room``: with every image decoded for its batch, as beyond the bound of memory.
Photographs are JPEG files of noise over gradients, made here.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.space import BackboneConfig
from dpl_nas.tasks import Augmentation
from dpl_nas.training.augmentation import bound, resized_crops, sample_boxes
from dpl_nas.training.batches import FewShotImages

BATCH = 16
#: Bytes that leave no room for a decoded image: all are decoded for every batch.
NO_ROOM = 0


class Photographs:
    """JPEG files in memory, three classes."""

    def __init__(self, count: int, height: int, width: int) -> None:
        self.labels: Sequence[int] = [index % 3 for index in range(count)]
        self._files = [self._file(index, height, width) for index in range(count)]

    @staticmethod
    def _file(seed: int, height: int, width: int) -> bytes:
        draw = np.random.default_rng(seed)
        coarse = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        smooth = np.asarray(
            Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        )
        noisy = smooth + draw.normal(0, 12, smooth.shape)
        file = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "jpeg", quality=90)
        return file.getvalue()

    def image(self, index: int) -> Image.Image:
        """The RGB image at ``index``, decoded anew."""
        return Image.open(io.BytesIO(self._files[index])).convert("RGB")


class Published:
    """Few-shot images as CoOp's loaders have them: decoded and transformed one by one."""

    def __init__(self, images: Photographs, backbone: Backbone, augmentation: Augmentation) -> None:
        self._images = images
        self._transform: Callable[[Image.Image], Tensor] = backbone.preprocess
        if augmentation == "crop_flip":
            size = backbone.image_size
            bicubic = InterpolationMode.BICUBIC
            self._transform = v2.Compose(
                [
                    v2.ToImage(),
                    v2.RandomResizedCrop(size, scale=(0.08, 1.0), interpolation=bicubic),
                    v2.RandomHorizontalFlip(),
                    v2.ToDtype(torch.float32, scale=True),
                    v2.Normalize(list(backbone.mean), list(backbone.std)),
                ]
            )

    def batch(self, rows: Sequence[int]) -> Tensor:
        """Images (batch, 3, S, S)."""
        return torch.stack([self._transform(self._images.image(row)) for row in rows])


@dataclass(frozen=True)
class Case:
    """A backbone, and photographs of a size."""

    name: str
    backbone: Backbone
    height: int
    width: int
    augmentation: Augmentation


def step(backbone: Backbone, images: Tensor) -> None:
    """Forward and backward through the image tower, as when its prompts are trained."""
    images.requires_grad_()
    backbone.model.visual(images).sum().backward()


def measure(case: Case, steps: int, rounds: int) -> dict[str, object]:
    """Milliseconds a batch: medians over ``rounds`` of ``steps`` batches, taken in turns.

    ``cpu`` is the time of the processor, of all threads, which other programs disturb less.
    """
    photographs = Photographs(BATCH * steps, case.height, case.width)
    started = time.perf_counter()
    few = FewShotImages(photographs, range(BATCH * steps), case.backbone, case.augmentation)
    once = time.perf_counter() - started
    full = FewShotImages(
        photographs,
        range(BATCH * steps),
        case.backbone,
        case.augmentation,
        kept_bytes=NO_ROOM,
    )
    published = Published(photographs, case.backbone, case.augmentation)
    jobs = [(list(range(k * BATCH, (k + 1) * BATCH)), k) for k in range(steps)]
    ready = few.batch(*jobs[0])[0]

    def each(make: Callable[[list[int], int], Tensor], then: bool) -> None:
        for rows, seed in jobs:
            images = make(rows, seed)
            if then:
                step(case.backbone, images)

    def ahead(source: FewShotImages) -> None:
        for images, _ in source.batches(jobs):
            step(case.backbone, images)

    runs: dict[str, Callable[[], None]] = {
        "published_alone": lambda: each(lambda rows, _: published.batch(rows), then=False),
        "ours_alone": lambda: each(lambda rows, seed: few.batch(rows, seed)[0], then=False),
        "step_alone": lambda: each(lambda *_: ready.clone(), then=True),
        "step_published": lambda: each(lambda rows, _: published.batch(rows), then=True),
        "step_inline": lambda: each(lambda rows, seed: few.batch(rows, seed)[0], then=True),
        "step_prefetched": lambda: ahead(few),
        "step_no_room_inline": lambda: each(
            lambda rows, seed: full.batch(rows, seed)[0], then=True
        ),
        "step_no_room_prefetched": lambda: ahead(full),
    }
    seconds: dict[str, list[float]] = {
        f"{name}_{clock}": [] for name in runs for clock in ("ms", "cpu_ms")
    }
    for _ in range(rounds):
        for name, run in runs.items():
            started, worked = time.perf_counter(), time.process_time()
            run()
            seconds[f"{name}_ms"].append(time.perf_counter() - started)
            seconds[f"{name}_cpu_ms"].append(time.process_time() - worked)
    milliseconds = {
        name: 1000 * statistics.median(found) / steps for name, found in seconds.items()
    }
    return {
        "case": case.name,
        **milliseconds,
        "alone_ratio": milliseconds["published_alone_ms"] / milliseconds["ours_alone_ms"],
        "alone_cpu_ratio": milliseconds["published_alone_cpu_ms"]
        / milliseconds["ours_alone_cpu_ms"],
        "decoding_once_s": once,
        "images": len(few),
    }


def detail(times: int, crops: int = 200) -> dict[str, object]:
    """What it changes that images are kept at twice the backbone's size at most.

    scikit-learn's two photographs, 424 pixels high, stand for such of ``times`` the backbone's
    size. Mean absolute differences, in levels of 255, between crops of what is kept and the
    same crops of the whole photograph.
    """
    found: dict[str, list[float]] = {"crops_of_a_quarter_or_more": [], "smaller_crops": []}
    generator = torch.Generator().manual_seed(1)
    for photo in load_sample_images().images:
        whole = torch.from_numpy(photo[:424].copy())
        size = 424 // times
        kept = bound(whole, 2 * size)
        boxes = sample_boxes(torch.tensor([kept.shape[:2]] * crops), generator)
        pairs = zip(
            resized_crops([kept] * crops, boxes, size).float(),
            resized_crops([whole] * crops, boxes * (times // 2), size).float(),
            boxes[:, 2:].prod(dim=1).tolist(),
            strict=True,
        )
        for ours, theirs, area in pairs:
            large = 4 * area >= kept.shape[0] * kept.shape[1]
            name = "crops_of_a_quarter_or_more" if large else "smaller_crops"
            found[name].append(float((ours - theirs).abs().mean()))
    means = {f"{name}_levels": statistics.fmean(values) for name, values in found.items()}
    return {"case": f"detail of photographs of {times} times the backbone's size", **means}


def cases(only: str) -> list[Case]:
    """Those whose name contains ``only``."""
    mini = load_backbone(BackboneConfig(model="mini-clip"))
    large = load_backbone(BackboneConfig(model="ViT-B-32", pretrained="random"))
    sizes: list[tuple[str, Backbone, int, int]] = [
        ("mini 32x32", mini, 32, 32),
        ("vit_b32 375x500", large, 375, 500),
        ("vit_b32 1200x1600", large, 1200, 1600),
    ]
    augmentations: tuple[Augmentation, ...] = ("none", "crop_flip")
    return [
        case
        for name, backbone, height, width in sizes
        for augmentation in augmentations
        if only
        in (case := Case(f"{name} {augmentation}", backbone, height, width, augmentation)).name
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a part of the name of a case")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measure(case, options.steps, options.rounds) for case in cases(options.only)]
    rows += [detail(times) for times in (4, 8) if options.only in "detail"]
    if options.json:
        sys.stdout.write(json.dumps({"rows": rows}) + "\n")
        return
    for row in rows:
        sys.stdout.write(f"{row['case']}\n")
        for name, value in row.items():
            if name != "case":
                sys.stdout.write(f"    {name:28} {value:9.1f}\n")


if __name__ == "__main__":
    main()
