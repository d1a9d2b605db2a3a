"""A classifier as a folder in the Hub's layout: config.json, model.safetensors, README.md."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

import dpl_nas
from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.backbone_config import BackboneConfig
from dpl_nas.classifier.calibration import unknown_threshold
from dpl_nas.classifier.evidence import Evidence
from dpl_nas.classifier.fitting import Fit
from dpl_nas.classifier.head import LinearHead
from dpl_nas.classifier.model import ImageClassifier
from dpl_nas.errors import ArchitectureError, CheckpointError, OutputError
from dpl_nas.io.arguments import checked
from dpl_nas.io.files import read_bytes, read_json, write_bytes, write_json
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.validation import Frozen, Number, validate
from dpl_nas.space import Tower

__all__ = ["CONFIG", "WEIGHTS", "ClassifierMetadata", "Leader", "SavedClassifier"]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
_HEAD = ("head.weights", "head.bias")
_REMEDY = "restore it, or fit again"


class Leader(Frozen):
    """A candidate on the leaderboard.

    Attributes
    ----------
    accuracy, loss
        On images that it was not made of: a share in 0..1, and the mean cross-entropy of the
        calibrated probabilities in nats.
    vectors
        Number of context vectors.
    """

    name: str
    accuracy: Number = Field(ge=0, le=1)
    loss: Number
    vectors: int
    seconds: Number

    @classmethod
    def of(cls, evidence: Evidence) -> Leader:
        """Return the line of a candidate."""
        candidate = evidence.candidate
        return cls(
            name=candidate.name,
            accuracy=evidence.accuracy,
            loss=evidence.loss,
            vectors=candidate.vectors,
            seconds=round(evidence.seconds, 3),
        )


class ClassifierMetadata(Frozen):
    """All of a classifier but its numbers.

    Attributes
    ----------
    labels
        What it answers, in the order of its outputs: names of folders, or whole numbers.
    class_names, template
        Names and template of the captions.
    background
        Colour on which transparent pictures are put.
    backbone, fingerprint
        Frozen CLIP, and the fingerprint of its weights: no others will do.
    chosen
        Name of the candidate that was chosen, and ``lengths`` of its context vectors.
    temperature
        Number by which logits are divided.
    confidences
        Probability of the most likely class of each image when it was held out, ascending.
    shots, images, seed
        Images per class at most, in all, and the seed of all draws.
    leaderboard
        All candidates, the best first.
    weights_sha256
        SHA-256 of the file of numbers, in hex: others are refused.
    """

    format: Literal["dpl_nas classifier 1"] = "dpl_nas classifier 1"
    library_name: Literal["dpl_nas"] = "dpl_nas"
    version: str = dpl_nas.__version__
    labels: tuple[str, ...] | tuple[int, ...]
    class_names: tuple[str, ...]
    template: str
    background: str
    backbone: BackboneConfig
    fingerprint: str
    chosen: str
    lengths: dict[Tower, tuple[int, ...]]
    temperature: Number = Field(gt=0)
    confidences: tuple[Number, ...]
    shots: int
    images: int
    seed: int
    leaderboard: tuple[Leader, ...]
    weights_sha256: str = Field(default="", pattern="^([0-9a-f]{64})?$")

    @field_validator("class_names")
    @classmethod
    def _as_many(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        labels: Sequence[object] = info.data.get("labels", names)
        if len(names) != len(labels) or len(set(labels)) < len(labels):
            raise ValueError("expected a name for each label, and each label once")
        return names


@dataclass(frozen=True)
class SavedClassifier:
    """A fitted classifier without its backbone: what is saved and shared.

    Attributes
    ----------
    vectors
        Context vectors (length, width) by ``tower/layer``.
    """

    metadata: ClassifierMetadata
    head: LinearHead
    vectors: dict[str, Tensor]

    __repr__ = short_repr

    @classmethod
    def of(
        cls, fit: Fit, labels: Sequence[str] | Sequence[int], background: str
    ) -> SavedClassifier:
        """Return what a fit has found.

        Parameters
        ----------
        labels
            Label of each class of the task.
        """
        problem, evidence = fit.problem, fit.judged
        probabilities = (evidence.logits / evidence.temperature).softmax(dim=1)
        architecture = evidence.candidate.architecture
        return cls(
            ClassifierMetadata(
                labels=tuple(labels),
                class_names=problem.task.class_names,
                template=problem.task.template,
                background=background,
                backbone=problem.space.backbone,
                fingerprint=problem.backbone.fingerprint,
                chosen=evidence.candidate.name,
                lengths={} if architecture is None else architecture.lengths,
                temperature=evidence.temperature,
                confidences=sorted(probabilities.max(dim=1).values.tolist()),
                shots=problem.shots,
                images=len(fit.rows),
                seed=problem.seed,
                leaderboard=tuple(map(Leader.of, fit.evidence)),
            ),
            LinearHead(fit.made.head.weights.cpu(), fit.made.head.bias.cpu()),
            {name: value.cpu() for name, value in fit.made.vectors.items()},
        )

    def threshold(self, unknown: float) -> float:
        """Return the probability below which a picture is unknown (:func:`unknown_threshold`)."""
        return unknown_threshold(self.metadata.confidences, unknown)

    def classifier(self, backbone: Backbone) -> ImageClassifier:
        """Return the classifier on its backbone.

        Raises
        ------
        CheckpointError
            If the weights of the backbone are not those that it was fitted on.
        """
        meta = self.metadata
        if backbone.fingerprint != meta.fingerprint:
            raise CheckpointError(
                f"the classifier was fitted on {meta.backbone.model} weights {meta.fingerprint}, "
                f"found {backbone.name} weights {backbone.fingerprint}: load the weights that it "
                "was fitted on"
            )
        try:
            return ImageClassifier.of(backbone, self.vectors, self.head, meta.temperature)
        except (ArchitectureError, RuntimeError) as error:
            raise CheckpointError(
                f"the numbers of the classifier do not fit {backbone.name}: {_REMEDY}"
            ) from error

    def load_backbone(self, device: str = "cpu") -> Backbone:
        """Return the backbone that the metadata name."""
        return load_backbone(self.metadata.backbone, device)

    @checked(OutputError)
    def save(self, folder: AnyPath) -> None:
        """Write config.json and model.safetensors, each atomically."""
        from safetensors.torch import save

        folder = Path(folder)
        tensors = dict(zip(_HEAD, (self.head.weights, self.head.bias), strict=True))
        tensors |= {f"contexts.{name}": value for name, value in self.vectors.items()}
        contiguous = {name: value.contiguous() for name, value in tensors.items()}
        folder.mkdir(parents=True, exist_ok=True)
        content = save(contiguous, metadata={"format": "pt"})
        write_bytes(folder / WEIGHTS, content)
        found = {"weights_sha256": hashlib.sha256(content).hexdigest()}
        # Last: with it, the folder is a classifier.
        write_json(folder / CONFIG, {**self.metadata.model_dump(mode="json"), **found})

    @classmethod
    @checked(CheckpointError)
    def load(cls, folder: AnyPath) -> SavedClassifier:
        """Read a folder.

        Raises
        ------
        CheckpointError
            If a file is missing, damaged, or does not fit the other.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        folder = Path(folder)
        if not (folder / CONFIG).exists():
            raise CheckpointError(
                f"there is no classifier in {folder}, as it has no {CONFIG}: give the folder that "
                "dpl-nas fit wrote"
            )
        metadata = validate(
            ClassifierMetadata, read_json(folder / CONFIG), str(folder / CONFIG), CheckpointError
        )
        file = folder / WEIGHTS
        content = read_bytes(file)
        if hashlib.sha256(content).hexdigest() != metadata.weights_sha256:
            raise CheckpointError(
                f"{file} is damaged, or {CONFIG} was not written with it: {_REMEDY}"
            )
        try:
            tensors = load(content)
            head = LinearHead(*(tensors.pop(name) for name in _HEAD))
        except (SafetensorError, ValueError, KeyError) as error:
            raise CheckpointError(f"{file} holds no classifier: {_REMEDY}") from error
        classes = len(metadata.labels)
        finite = all(bool(torch.isfinite(each).all()) for each in (head.weights, head.bias))
        if head.weights.dim() != 2 or len(head.weights) != classes or not finite:
            raise CheckpointError(f"{file} does not fit {folder / CONFIG}: {_REMEDY}")
        prefix = "contexts."
        vectors = {name.removeprefix(prefix): each for name, each in tensors.items()}
        return cls(metadata, head, vectors)
