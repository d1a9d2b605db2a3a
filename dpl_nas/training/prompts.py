"""Learned context vectors, their metadata, and their file."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dpl_nas.backbone import Backbone, check_layers
from dpl_nas.config import Classes, TextTemplate
from dpl_nas.errors import ArchitectureError, CheckpointError, OutputError, shorten
from dpl_nas.io.arguments import checked
from dpl_nas.io.files import open_file, write_bytes
from dpl_nas.io.json_values import parse_json, seal, unseal
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import in_a_line
from dpl_nas.io.run_files import PROMPTS
from dpl_nas.io.validation import Frozen, validate
from dpl_nas.space import Architecture, Space

__all__ = ["PromptsMetadata", "TrainedPrompts", "load_prompts"]

_FORMAT = "dpl_nas prompts 2"
#: The only key of the metadata: safetensors writes several keys in a random order.
_HEADER = "dpl_nas"
_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
#: Name of the features of classes; those of contexts have a slash.
_CLASSES = "classes"
_REMEDY = "give the file that a run wrote"


class PromptsMetadata(Frozen):
    """The backbone and task that a set of prompts fits, and how it was made.

    ``fingerprint`` is the backbone's: prompts of other weights would load and be wrong.
    ``folder`` is the absolute path of the task, ``data`` that of the folder of all datasets if it
    is one of them, ``images`` a digest of what was trained on
    (:func:`dpl_nas.tasks.task_digest`).
    """

    architecture: Architecture
    space: Space
    fingerprint: str
    task: str
    class_names: tuple[str, ...]
    template: str
    templates: tuple[str, ...]
    text_template: TextTemplate
    shots: int
    seed: int
    folder: str = ""
    images: str = ""
    data: str = ""
    classes: Classes = "all"


@dataclass(frozen=True)
class TrainedPrompts:
    """Context vectors by ``tower/layer`` (length, width), and what they fit.

    Layers of length 0 have no entry.

    Attributes
    ----------
    class_features
        Features of the classes ``(classes, embed)``, if they are not those of captions.
    """

    metadata: PromptsMetadata
    vectors: dict[str, Tensor]
    class_features: Tensor | None = None

    def __repr__(self) -> str:
        return in_a_line(f"TrainedPrompts({self.metadata.task!r}, {self.architecture.describe()})")

    @property
    def architecture(self) -> Architecture:
        """The context length of each layer."""
        return self.metadata.architecture

    def check(self, backbone: Backbone) -> None:
        """Raise an error unless the prompts were trained on exactly this backbone's weights.

        Raises
        ------
        CheckpointError
            If they were trained on others, or have other layers or widths than the backbone.
        """
        if backbone.fingerprint != self.metadata.fingerprint:
            raise CheckpointError(
                f"the prompts were trained on {self.metadata.space.backbone.model} weights "
                f"{self.metadata.fingerprint}, found {backbone.name} weights "
                f"{backbone.fingerprint}: load the weights that they were trained on"
            )
        if self.class_features is not None:
            self._check_class_features(backbone, self.class_features)
        elif backbone.classes_by == "means":
            raise CheckpointError(
                f"the prompts have no features of classes, which {backbone.name} needs: {_REMEDY}"
            )
        for tower, layer, length in self.architecture.items():
            check_layers(
                backbone,
                tower,
                [layer],
                asks="the prompts have",
                error=CheckpointError,
                remedy=_REMEDY,
            )
            if not length:
                continue
            expected = (length, backbone.widths[tower])
            found = tuple(self.vectors[f"{tower}/{layer}"].shape)
            if found != expected:
                raise CheckpointError(
                    f"the vectors of {tower}/{layer} should be {expected} for {backbone.name}, "
                    f"found {found}: {_REMEDY}"
                )

    def _check_class_features(self, backbone: Backbone, features: Tensor) -> None:
        if backbone.classes_by == "captions":
            return
        expected = (len(self.metadata.class_names), backbone.widths["text"])
        found = tuple(features.shape)
        if found != expected:
            raise CheckpointError(
                f"the features of classes should be {expected} for {backbone.name}, found {found}: "
                f"{_REMEDY}"
            )

    @checked(OutputError)
    def save(self, path: AnyPath) -> None:
        """Write a safetensors file atomically; its metadata holds :class:`PromptsMetadata`.

        The same prompts give the same bytes.

        Raises
        ------
        OutputError
            If the file cannot be written, or its name would say that it is something else.
        """
        file = Path(path)
        if file.suffix not in {"", Path(PROMPTS).suffix}:
            raise OutputError(f"prompts are saved as FILE{Path(PROMPTS).suffix}, found {file}")
        tensors = dict(self.vectors)
        if self.class_features is not None:
            tensors[_CLASSES] = self.class_features
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        write_bytes(file, _encode(tensors, self.metadata.model_dump(mode="json")))


@checked(CheckpointError)
def load_prompts(path: AnyPath) -> TrainedPrompts:
    """Prompts from a file, or from the ``prompts.safetensors`` of a run folder.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, damaged, foreign, of another version, or does not fit
        its own architecture.
    """
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    if file.is_dir():
        file /= PROMPTS
    if not os.path.lexists(file):
        raise CheckpointError(f"there are no trained prompts at {file}: {_REMEDY}")
    # safetensors would wait for a pipe.
    with open_file(file):
        pass
    try:
        with safe_open(file, framework="pt") as stream:
            found = stream.metadata() or {}
            vectors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{file} is truncated or not a safetensors file: {_REMEDY}"
        ) from error
    if str(found.get("format")).startswith("dpl_nas prompts"):
        raise CheckpointError(
            f"{file} was written by another version of dpl_nas, without a checksum: remove it and "
            "train again"
        )
    if _HEADER not in found:
        raise CheckpointError(f"{file} holds no dpl_nas prompts: {_REMEDY}")
    header = _header(found[_HEADER], vectors, file)
    metadata = validate(PromptsMetadata, header, str(file), CheckpointError)
    try:
        metadata.space.check(metadata.architecture)
    except ArchitectureError as error:
        raise CheckpointError(
            f"{file} has an architecture that does not fit its space: {error}"
        ) from error
    classes = vectors.pop(_CLASSES, None)
    _check_vectors(vectors, metadata.architecture, file)
    if classes is not None:
        if classes.dim() != 2 or len(classes) != len(metadata.class_names):
            raise CheckpointError(
                f"{file} should hold features of {len(metadata.class_names)} classes, found "
                f"{tuple(classes.shape)}: {_REMEDY}"
            )
        _check_numbers(_CLASSES, classes, file)
    return TrainedPrompts(metadata, vectors, classes)


def _check_vectors(vectors: dict[str, Tensor], architecture: Architecture, file: Path) -> None:
    expected = {
        f"{tower}/{layer}": length for tower, layer, length in architecture.items() if length
    }
    if wrong := sorted(vectors.keys() ^ expected.keys()):
        raise CheckpointError(
            f"{file} does not hold the vectors of its architecture ({wrong[0]} is missing or "
            f"unknown): {_REMEDY}"
        )
    for name, value in vectors.items():
        if value.dim() != 2 or len(value) != expected[name]:
            raise CheckpointError(
                f"{file} does not hold the vectors of its architecture: {name} should be "
                f"({expected[name]}, width), found {tuple(value.shape)}; {_REMEDY}"
            )
        _check_numbers(name, value, file)


def _check_numbers(name: str, value: Tensor, file: Path) -> None:
    if value.dtype not in _DTYPES:
        kind = str(value.dtype).removeprefix("torch.")
        raise CheckpointError(
            f"{file} should hold vectors of floating-point numbers, found {kind} at {name}: "
            f"{_REMEDY}"
        )
    # The model holds float32, to which a large float64 is infinite.
    if not bool(torch.isfinite(value.float()).all()):
        raise CheckpointError(
            f"{file} is damaged ({name} holds values that are not finite): train again"
        )


def _encode(vectors: dict[str, Tensor], metadata: dict[str, Any]) -> bytes:
    from safetensors.torch import save

    header = seal({"format": _FORMAT, "prompts": metadata, "vectors": _digest(vectors)})
    content: bytes = save(vectors, metadata={_HEADER: json.dumps(header, separators=(",", ":"))})
    return content


def _digest(vectors: dict[str, Tensor]) -> str:
    """The SHA-256 of vectors: their names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name, value in sorted(vectors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _header(text: str, vectors: dict[str, Tensor], file: Path) -> dict[str, Any]:
    """Return the metadata of the prompts; raise an error if anything changed since the save."""
    try:
        header = unseal(parse_json(text))
    except ValueError as error:
        raise CheckpointError(
            f"{file} has damaged metadata ({shorten(str(error))}): {_REMEDY}"
        ) from error
    if header.get("format") != _FORMAT or not isinstance(header.get("prompts"), dict):
        raise CheckpointError(f"{file} holds no prompts of this version of dpl_nas: {_REMEDY}")
    if header.get("vectors") != _digest(vectors):
        raise CheckpointError(
            f"{file} is damaged (its vectors do not fit their checksum): remove it and train again"
        )
    prompts: dict[str, Any] = header["prompts"]
    return prompts
