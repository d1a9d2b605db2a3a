"""A classifier as a folder in the Hub's layout: config.json, model.safetensors, README.md."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, PlainSerializer, PlainValidator, ValidationInfo, field_validator
from torch import Tensor

import dpl_nas
from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.backbone_config import BackboneConfig
from dpl_nas.classifier.calibration import unknown_threshold
from dpl_nas.classifier.evidence import Evidence
from dpl_nas.classifier.fitting import Fit
from dpl_nas.classifier.head import LinearHead
from dpl_nas.classifier.learned import ByHead, ByMethod
from dpl_nas.classifier.model import ImageClassifier
from dpl_nas.config import MethodConfig
from dpl_nas.errors import (
    ArchitectureError,
    CheckpointError,
    ConfigError,
    OutputError,
    TaskError,
)
from dpl_nas.io.arguments import checked
from dpl_nas.io.files import read_bytes, read_json, write_bytes, write_json
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.sealed_tensors import read_tensors
from dpl_nas.io.validation import Frozen, Number, validate
from dpl_nas.methods import Learned, Method
from dpl_nas.methods.saved import known_method
from dpl_nas.space import Space, Tower
from dpl_nas.tasks import Task
from dpl_nas.tasks.pictures import colour
from dpl_nas.tasks.python_images import PythonImages
from dpl_nas.tasks.templates import check_template

__all__ = ["CONFIG", "WEIGHTS", "ClassifierMetadata", "Leader", "SavedClassifier", "as_labels"]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
_HEAD = ("head.weights", "head.bias")
_PREFIX, _LEARNED = "contexts.", "learned."
_REMEDY = "restore it, or fit again"
#: The most bytes of the numbers.
_LARGEST = 4_000_000_000
#: Beyond this, sums of weights would not be finite.
_LARGEST_WEIGHT = 1e9
#: Labels are kept as numpy has whole numbers.
_WHOLE = 2**63
#: Kinds of labels; of each classifier, one.
_KINDS = (str, bool, int)

_Share = Annotated[Number, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=0, lt=2**31, strict=True)]
_Text = Annotated[str, Field(min_length=1, max_length=1000)]
_Length = Annotated[int, Field(ge=0, le=1000, strict=True)]


def as_labels(value: Any) -> tuple[str, ...] | tuple[int, ...]:
    """Return labels that a classifier can have.

    Raises
    ------
    ValueError
        If they are not different ones of one kind, that can be kept.
    """
    labels = tuple(value) if isinstance(value, (list, tuple)) else ()
    if len(labels) < 2 or not any(all(type(each) is kind for each in labels) for kind in _KINDS):
        raise ValueError("expected a list of two or more, all texts, whole numbers, or booleans")
    for each in labels:
        if isinstance(each, str):
            # As an error of ours: a half of a character is no text.
            each.encode("utf-8")
        elif not -_WHOLE <= each < _WHOLE:
            raise ValueError("expected whole numbers of at most 64 bits")
    if len(set(labels)) < len(labels):
        raise ValueError("expected each label once")
    return labels


class Leader(Frozen):
    """A candidate on the leaderboard.

    Attributes
    ----------
    accuracy, loss
        On images that it was not made of: a share in 0..1, and the mean cross-entropy of the
        calibrated probabilities in nats.
    vectors
        Number of context vectors; ``None`` for a method.
    """

    name: _Text
    accuracy: _Share
    loss: Number = Field(ge=0)
    vectors: _Count | None
    seconds: Number = Field(ge=0)

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
        What it answers, in the order of its outputs: names of folders, whole numbers or booleans.
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
    method, templates
        The method that was chosen, if one was, and the templates of its ensemble of captions.
    space
        Search space that it was fitted in, on the same backbone.
    weights
        SHA-256 of the file of the numbers; empty if it is not written.
    """

    format: Literal["dpl_nas classifier 1"] = "dpl_nas classifier 1"
    library_name: Literal["dpl_nas"] = "dpl_nas"
    version: _Text = dpl_nas.__version__
    labels: Annotated[
        tuple[str, ...] | tuple[int, ...], PlainValidator(as_labels), PlainSerializer(list)
    ]
    class_names: tuple[_Text, ...]
    template: _Text
    background: _Text
    backbone: BackboneConfig
    fingerprint: _Text
    chosen: _Text
    lengths: dict[Tower, tuple[_Length, ...]]
    temperature: Number = Field(ge=1e-3, le=1e3)
    confidences: tuple[_Share, ...] = Field(min_length=1)
    shots: int = Field(ge=1, lt=2**31, strict=True)
    images: int = Field(ge=1, lt=2**31, strict=True)
    seed: int = Field(ge=0, strict=True)
    leaderboard: tuple[Leader, ...] = Field(min_length=1)
    method: MethodConfig | None = Field(default=None, exclude_if=lambda value: value is None)
    templates: tuple[_Text, ...] = Field(default=(), exclude_if=lambda value: not value)
    space: Space | None = None
    weights: str = Field(default="", pattern="^([0-9a-f]{64})?$")

    @field_validator("class_names")
    @classmethod
    def _as_many(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if len(names) != len(info.data.get("labels", names)):
            raise ValueError("expected a name for each label")
        return names

    @field_validator("space")
    @classmethod
    def _is_of(cls, space: Space | None, info: ValidationInfo) -> Space | None:
        if space is not None and space.backbone != info.data.get("backbone", space.backbone):
            raise ValueError("expected a space of the same backbone")
        return space

    @field_validator("background")
    @classmethod
    def _is_colour(cls, name: str) -> str:
        colour(name)
        return name

    @field_validator("template")
    @classmethod
    def _is_template(cls, template: str) -> str:
        try:
            check_template(template, "it")
        except TaskError as error:
            raise ValueError("expected a text with one {} for the name of a class") from error
        return template

    @field_validator("templates")
    @classmethod
    def _are_templates(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(cls._is_template, templates))

    @property
    def task(self) -> Task:
        """A task of the same classes and captions, without images."""
        none = PythonImages([], [], "no pictures", self.background)
        return Task(
            name="own pictures",
            class_names=self.class_names,
            template=self.template,
            templates=self.templates,
            train=none,
            test=none,
            background=self.background,
        )


@dataclass(frozen=True)
class SavedClassifier:
    """A fitted classifier without its backbone: what is saved and shared."""

    metadata: ClassifierMetadata
    knowledge: ByHead | ByMethod

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
        architecture, method = evidence.candidate.architecture, evidence.candidate.method
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
                method=method,
                templates=() if method is None else problem.task.templates,
                space=problem.space,
            ),
            fit.made.knowledge.to("cpu"),
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
        wrong = f"the numbers of the classifier do not fit {backbone.name}: {_REMEDY}"
        size = backbone.image_size
        try:
            scorer = self.knowledge.scorer(backbone, meta.task)
            # The first picture would show it, too, but not as an error of the file.
            found = scorer.logits(torch.zeros(1, 3, size, size, device=backbone.device))
        except (ArchitectureError, ConfigError, KeyError, RuntimeError) as error:
            raise CheckpointError(wrong) from error
        if found.shape != (1, len(meta.labels)):
            raise CheckpointError(wrong)
        return ImageClassifier(backbone, scorer, meta.temperature)

    def load_backbone(self, device: str = "cpu") -> Backbone:
        """Return the backbone that the metadata name."""
        return load_backbone(self.metadata.backbone, device)

    @checked(OutputError)
    def save(self, folder: AnyPath) -> None:
        """Write config.json and model.safetensors, each atomically.

        The first has the SHA-256 of the second.
        """
        from safetensors.torch import save

        folder = Path(folder)
        contiguous = {name: value.contiguous() for name, value in _tensors(self.knowledge).items()}
        folder.mkdir(parents=True, exist_ok=True)
        content = save(contiguous, metadata={"format": "pt"})
        write_bytes(folder / WEIGHTS, content)
        # Last: with it, the folder is a classifier.
        told = self.metadata.model_dump(mode="json") | {"weights": _digest(content)}
        write_json(folder / CONFIG, told)

    @classmethod
    @checked(CheckpointError)
    def load(cls, folder: AnyPath, kind: type[Method] | None = None) -> SavedClassifier:
        """Read a folder.

        Parameters
        ----------
        kind
            Class of its method, if that is not among those of the package. The folder does not
            choose it, as that would run code.

        Raises
        ------
        CheckpointError
            If a file is missing, damaged, or does not fit the other.
        """
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
        try:
            content = read_bytes(file, _LARGEST)
        except CheckpointError as error:
            raise CheckpointError(f"{file} is missing or damaged ({error}): {_REMEDY}") from error
        if _digest(content) != metadata.weights:
            raise CheckpointError(
                f"{file} is damaged or of another classifier, as its SHA-256 is not the one in "
                f"{folder / CONFIG}: {_REMEDY}"
            )
        try:
            return cls(metadata, _knowledge(metadata, read_tensors(content)[0], kind, folder))
        except (ValueError, KeyError) as error:
            raise CheckpointError(f"{file} does not fit {folder / CONFIG}: {_REMEDY}") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _tensors(knowledge: ByHead | ByMethod) -> dict[str, Tensor]:
    if isinstance(knowledge, ByMethod):
        return {f"{_LEARNED}{name}": value for name, value in knowledge.learned.tensors.items()}
    head = knowledge.head
    tensors = dict(zip(_HEAD, (head.weights, head.bias), strict=True))
    return tensors | {f"{_PREFIX}{name}": value for name, value in knowledge.vectors.items()}


def _knowledge(
    metadata: ClassifierMetadata,
    tensors: Mapping[str, Tensor],
    kind: type[Method] | None,
    folder: Path,
) -> ByHead | ByMethod:
    """What the numbers are; a ValueError or a KeyError if the metadata say others."""
    for name, value in tensors.items():
        # Written so that NaN fails.
        known = value.dtype == torch.float32 or (
            metadata.method is not None and value.dtype == torch.int64
        )
        if not known or not bool((value.abs() <= _LARGEST_WEIGHT).all()):
            raise ValueError(f"it has numbers that no fit has written, in {name}")
    if metadata.method is None:
        return _headed(metadata, tensors)
    if not all(name.startswith(_LEARNED) for name in tensors):
        raise ValueError("it has numbers of no method")
    method = known_method(metadata.method.name, metadata.method.settings, kind, str(folder))
    own = {name.removeprefix(_LEARNED): value for name, value in tensors.items()}
    return ByMethod(Learned(method, own, metadata.fingerprint, metadata.class_names))


def _headed(metadata: ClassifierMetadata, tensors: Mapping[str, Tensor]) -> ByHead:
    """The head and the context vectors; errors are as above."""
    head = LinearHead(*(tensors[name] for name in _HEAD))
    vectors = {
        name.removeprefix(_PREFIX): value for name, value in tensors.items() if name not in _HEAD
    }
    classes = len(metadata.labels)
    if head.weights.dim() != 2 or len(head.weights) != classes or head.bias.shape != (classes,):
        raise ValueError("it has another number of classes")
    found: dict[str, dict[int, int]] = {}
    for name, value in vectors.items():
        place = re.fullmatch("(image|text)/([0-9]{1,4})", name)
        if place is None or value.dim() != 2:
            raise ValueError(f"{name} are no context vectors")
        found.setdefault(place[1], {})[int(place[2])] = len(value)
    asked = {tower: [each for each in own if each] for tower, own in metadata.lengths.items()}
    lengths = {tower: [own[layer] for layer in sorted(own)] for tower, own in found.items()}
    if lengths != {tower: own for tower, own in asked.items() if own}:
        raise ValueError("it has other lengths of context vectors")
    return ByHead(head, vectors)
