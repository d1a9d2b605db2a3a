"""A classifier as a file that runs without this package: ONNX, or a program of torch.export."""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, cast, get_args, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from dpl_nas.backbone import Backbone
from dpl_nas.classifier.model import ImageClassifier
from dpl_nas.classifier.saved import ClassifierMetadata
from dpl_nas.errors import ConfigError, DplWarning, OutputError
from dpl_nas.io.arguments import checked
from dpl_nas.io.files import atomic_path
from dpl_nas.io.paths import AnyPath
from dpl_nas.kernels import KernelPath
from dpl_nas.training.evaluation import Scorer

__all__ = ["OPSET", "ExportFormat", "export"]

ExportFormat = Literal["onnx", "pt2"]

#: The version of ONNX's operators.
OPSET = 18
#: Sizes of the batches that are compared before a file is kept.
_BATCHES = (1, 2, 7)
#: Largest difference of a probability.
_TOLERANCE = 1e-4
_NEEDED = ("onnx", "onnxscript", "onnxruntime")
#: Key of the metadata in the file.
_KEY = "dpl_nas"

#: From images (batch, 3, S, S) to probabilities (batch, classes).
_Run = Callable[[Tensor], Tensor]


@checked(OutputError)
def export(
    classifier: ImageClassifier,
    metadata: ClassifierMetadata,
    file: AnyPath,
    kind: ExportFormat,
    pictures: Sequence[Image.Image],
    *,
    from_bytes: bool = False,
) -> float:
    """Write the image tower with its contexts, the head and the temperature as one file.

    Images go in, probabilities come out; the number of images is free. The file is kept only if it
    gives the classifier's probabilities of real pictures. Labels and preprocessing are in its
    metadata, under the key ``dpl_nas``, as JSON.

    Parameters
    ----------
    kind
        ``onnx`` (:data:`OPSET`), or ``pt2`` for ``torch.export.load``.
    pictures
        RGB pictures to compare on, seven at least.
    from_bytes
        Whether images are uint8 pixels, and normalised inside; else float32 and normalised.

    Returns
    -------
    float
        Largest difference of a probability that was seen.

    Raises
    ------
    ConfigError
        If the packages that write or run ONNX are missing.
    OutputError
        If the file cannot be written, or gives other probabilities.
    """
    if kind not in get_args(ExportFormat):
        raise ConfigError(f"format: expected {' or '.join(get_args(ExportFormat))}, found {kind}")
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if kind == "onnx" and missing:
        raise ConfigError(
            f"--format onnx needs {', '.join(missing)}: install them with pip install "
            "'dpl_nas[onnx]', or use --format pt2"
        )
    backbone = classifier.backbone
    told = _metadata(backbone, metadata, pictures, from_bytes=from_bytes)
    module = _Whole(classifier, from_bytes=from_bytes).eval()
    images = [_pixels(backbone, each, from_bytes=from_bytes) for each in pictures[: max(_BATCHES)]]
    batch = torch.stack(images).to(backbone.device)
    with _quiet(), torch.no_grad():
        # With a batch of one, the exporter would take the number for a constant.
        free = ({0: torch.export.Dim("batch")},)
        program = torch.export.export(module, (batch[:2],), dynamic_shapes=free)
        with atomic_path(Path(file)) as temporary:
            # Both savers want their own suffix.
            written = temporary.with_name(f"{temporary.name}.{kind}")
            try:
                run = _SAVERS[kind](program, written, told)
                difference = _compare(classifier, run, batch, from_bytes=from_bytes)
                written.replace(temporary)
            finally:
                written.unlink(missing_ok=True)
    return difference


class _Whole(nn.Module):
    """Probabilities of images, in operations that every exporter knows.

    The frozen weights are outside its tree, so only those that are used become a part of the file.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classifier: ImageClassifier, *, from_bytes: bool) -> None:
        super().__init__()
        backbone = classifier.backbone
        self._scorer = _plain(classifier.scorer)
        self._temperature = classifier.temperature
        for name, value in zip(("mean", "std"), _channels(backbone), strict=True):
            self.register_buffer(name, value.to(backbone.device))
        self._from_bytes = from_bytes

    def forward(self, images: Tensor) -> Tensor:
        """Return probabilities (batch, classes)."""
        if self._from_bytes:
            images = (images.float() / 255 - self.mean) / self.std
        return (self._scorer.logits(images) / self._temperature).softmax(dim=-1)


@runtime_checkable
class _Plain(Protocol):
    """What can answer in plain operations."""

    def with_path(self, path: KernelPath) -> Scorer: ...


def _plain(scorer: Scorer) -> Scorer:
    """The same in operations that every exporter knows."""
    if isinstance(scorer, _Plain):
        return scorer.with_path("reference")
    raise OutputError(
        "the method of this classifier computes class features for each image, or is one of your "
        "own without with_path, so it cannot be exported: fit without it, or use the classifier "
        "in Python"
    )


def _compare(classifier: ImageClassifier, run: _Run, batch: Tensor, *, from_bytes: bool) -> float:
    """Return the largest difference of a probability, or refuse the file."""
    backbone = classifier.backbone
    images = batch
    if from_bytes:
        mean, std = _channels(backbone)
        images = (batch.float() / 255 - mean.to(batch.device)) / std.to(batch.device)
    expected = classifier.probabilities(images).cpu()
    worst = 0.0
    for size in _BATCHES:
        found = run(batch[:size]).cpu()
        worst = max(worst, float((found - expected[:size]).abs().max()))
    # Written so that NaN fails.
    if not worst <= _TOLERANCE:
        raise OutputError(
            f"the exported file gives probabilities that differ by {worst:.2g}, more than "
            f"{_TOLERANCE:g}, so it is not kept: use another --format"
        )
    return worst


def _save_onnx(program: Any, file: Path, told: str) -> _Run:
    import onnxruntime

    made = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=OPSET,
        input_names=["images"],
        output_names=["probabilities"],
        verbose=False,
    )
    if made is None:
        raise OutputError("torch.onnx made no program")
    made.model.metadata_props[_KEY] = told
    made.save(file, external_data=False)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda batch: torch.from_numpy(session.run(None, {"images": batch.cpu().numpy()})[0])


def _save_pt2(program: Any, file: Path, told: str) -> _Run:
    torch.export.save(program, file, extra_files={_KEY: told})
    loaded = torch.export.load(file).module()
    return cast("_Run", loaded)


_SAVERS: dict[ExportFormat, Callable[[Any, Path, str], _Run]] = {
    "onnx": _save_onnx,
    "pt2": _save_pt2,
}


def _metadata(
    backbone: Backbone,
    metadata: ClassifierMetadata,
    pictures: Sequence[Image.Image],
    *,
    from_bytes: bool,
) -> str:
    """Labels, and how a picture becomes an image, as JSON."""
    if not all(_is_plain(backbone, each) for each in pictures):
        warnings.warn(
            f"{backbone.name} does not prepare pictures by a bicubic resize of the shorter side "
            "and a central crop alone, so the preprocessing in the file's metadata is incomplete",
            DplWarning,
            stacklevel=3,
        )
    return json.dumps(
        {
            "labels": list(metadata.labels),
            "temperature": metadata.temperature,
            "fingerprint": metadata.fingerprint,
            "version": metadata.version,
            "preprocessing": {
                "size": backbone.image_size,
                "resize": "shorter side to size, bicubic",
                "crop": "centre, size x size",
                "layout": "batch, channels (red, green, blue), height, width",
                "type": "uint8" if from_bytes else "float32, (pixel / 255 - mean) / std",
                "mean": list(backbone.mean),
                "std": list(backbone.std),
                "background": metadata.background,
            },
        }
    )


def _pixels(backbone: Backbone, picture: Image.Image, *, from_bytes: bool) -> Tensor:
    prepared = backbone.preprocess(picture)
    if not from_bytes:
        return prepared
    mean, std = _channels(backbone)
    return ((prepared * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)


def _channels(backbone: Backbone) -> tuple[Tensor, Tensor]:
    """The mean and the standard deviation of the channels, each (3, 1, 1)."""
    mean, std = torch.tensor(backbone.mean), torch.tensor(backbone.std)
    return mean[:, None, None], std[:, None, None]


def _is_plain(backbone: Backbone, picture: Image.Image) -> bool:
    """Whether the metadata's preprocessing gives the backbone's pixels."""
    size = backbone.image_size
    width, height = picture.size
    # As torchvision rounds.
    shorter = min(width, height)
    wide, high = (int(size * each / shorter) for each in (width, height))
    resized = picture.resize((wide, high), Image.Resampling.BICUBIC)
    left, top = round((wide - size) / 2), round((high - size) / 2)
    cropped = np.asarray(resized.crop((left, top, left + size, top + size)), dtype=np.float32)
    mean, std = (np.array(each, dtype=np.float32) for each in (backbone.mean, backbone.std))
    pixels = (cropped / 255 - mean) / std
    expected = backbone.preprocess(picture).permute(1, 2, 0).numpy()
    return bool(np.allclose(pixels, expected, atol=1e-5))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the remarks of exporters out; their errors are exceptions."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export")]
    levels = [each.level for each in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"torch|onnx|copyreg")
        for each in loggers:
            each.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for each, level in zip(loggers, levels, strict=True):
                each.setLevel(level)
