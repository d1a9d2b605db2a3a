"""What an exported classifier weighs, and how fast it is beside the classifier itself.

    python -m benchmarks.exports

For each backbone there is a classifier with 4 context vectors at each layer of its image tower and
a head of 10 classes, of random numbers: neither sizes nor times depend on them. It is exported in
both formats, and all three classify the same images in turns, with the same number of threads.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.measure import interleaved
from benchmarks.workload import Part, backbone_config, backbone_of, class_names
from dpl_nas.backbone import Backbone
from dpl_nas.classifier.export import ExportFormat, export
from dpl_nas.classifier.head import LinearHead
from dpl_nas.classifier.learned import ByHead
from dpl_nas.classifier.saved import CONFIG, WEIGHTS, ClassifierMetadata, Leader, SavedClassifier
from dpl_nas.prompted import PromptedCLIP

__all__ = ["Row", "main", "measure", "table"]

MODELS = ("mini_clip", "vit_b16")
BATCHES = (1, 32)
CLASSES = 10
LENGTH = 4


@dataclass(frozen=True)
class Row:
    """A format of a classifier.

    Attributes
    ----------
    bytes
        Size on disk. The classifier itself has its backbone beside that.
    seconds
        Of a batch, by its number of images.
    """

    model: str
    format: str
    bytes: int
    seconds: dict[int, float]


def measure(model: str, batches: Sequence[int] = BATCHES, repeats: int = 5) -> list[Row]:
    """Measure a classifier and its exports, in turns."""
    backbone = backbone_of(model)
    saved = _saved(backbone, model)
    classifier = saved.classifier(backbone)
    draw = np.random.default_rng(0)
    pictures = [
        Image.fromarray(draw.integers(0, 256, (64, 64, 3), dtype=np.uint8)) for _ in range(7)
    ]
    size = backbone.image_size
    images = {count: torch.randn(count, 3, size, size) for count in batches}
    with tempfile.TemporaryDirectory() as place:
        saved.save(Path(place))
        runs: dict[str, Callable[[Tensor], object]] = {"classifier": classifier.probabilities}
        sizes = {"classifier": sum(_size(Path(place) / name) for name in (CONFIG, WEIGHTS))}
        for kind in get_args(ExportFormat):
            file = Path(place) / f"model.{kind}"
            export(classifier, saved.metadata, file, kind, pictures)
            sizes[kind], runs[kind] = _size(file), _LOADERS[kind](file)
        with torch.no_grad():
            seconds = {
                count: interleaved([[_part(run, given)] for run in runs.values()], repeats)
                for count, given in images.items()
            }
    return [
        Row(model, name, sizes[name], {count: found[index] for count, found in seconds.items()})
        for index, name in enumerate(runs)
    ]


def _size(file: Path) -> int:
    return file.stat().st_size


def _part(run: Callable[[Tensor], object], given: Tensor) -> Part:
    return Part(lambda: run(given))


def _saved(backbone: Backbone, model: str) -> SavedClassifier:
    """A classifier of random numbers."""
    draw = torch.Generator().manual_seed(0)
    width, layers = backbone.widths["image"], backbone.layers["image"]
    names = tuple(class_names(CLASSES))
    weights = torch.randn(CLASSES, _features(backbone), generator=draw)
    head = LinearHead(weights, torch.zeros(CLASSES))
    vectors = {
        f"image/{layer}": 0.02 * torch.randn(LENGTH, width, generator=draw)
        for layer in range(layers)
    }
    return SavedClassifier(
        ClassifierMetadata(
            labels=names,
            class_names=names,
            template="a photo of a {}.",
            background="white",
            backbone=backbone_config(model),
            fingerprint=backbone.fingerprint,
            chosen=f"both all x {LENGTH}",
            lengths={"image": (LENGTH,) * layers},
            temperature=1.0,
            confidences=(0.5,),
            shots=16,
            images=16 * CLASSES,
            seed=1,
            leaderboard=(Leader(name="random", accuracy=0.0, loss=1.0, vectors=0, seconds=0.0),),
        ),
        ByHead(head, vectors),
    )


def _features(backbone: Backbone) -> int:
    """Width of the image features."""
    size = backbone.image_size
    with torch.no_grad():
        return PromptedCLIP(backbone, {}).encode_image(torch.zeros(1, 3, size, size)).shape[1]


def _load_onnx(file: Path) -> Callable[[Tensor], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images.numpy()})


def _load_pt2(file: Path) -> Callable[[Tensor], object]:
    loaded: Callable[[Tensor], object] = torch.export.load(file).module()
    return loaded


_LOADERS: dict[ExportFormat, Callable[[Path], Callable[[Tensor], object]]] = {
    "onnx": _load_onnx,
    "pt2": _load_pt2,
}


def table(rows: Sequence[Row]) -> list[str]:
    """Lines of Markdown; times are multiples of the classifier's speed."""
    batches = list(rows[0].seconds)
    heads = ["backbone", "format", "size", *(f"speed, batch of {each}" for each in batches)]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    own: dict[int, float] = {}
    for row in rows:
        if row.format == "classifier":
            own = row.seconds
        size = f"{row.bytes / 1e6:.1f} MB" if row.bytes >= 1e6 else f"{row.bytes / 1e3:.0f} kB"
        cells = [row.model, row.format, size]
        cells += [f"{own[count] / row.seconds[count]:.2f}" for count in batches]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.exports",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    rows = [
        row for model in options.models for row in measure(model, options.batches, options.repeats)
    ]
    sys.stdout.write("\n".join(table(rows)) + "\n")


if __name__ == "__main__":
    main()
