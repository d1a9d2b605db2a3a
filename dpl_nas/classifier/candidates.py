"""What a classifier may be: captions, probes, context vectors, methods; how each is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dpl_nas.backbone import Backbone
from dpl_nas.classifier.head import LinearHead, fit_head
from dpl_nas.classifier.learned import ByHead, ByMethod
from dpl_nas.classifier.model import ImageClassifier
from dpl_nas.config import MethodConfig
from dpl_nas.io.reprs import short_repr
from dpl_nas.methods import make_method
from dpl_nas.prompted import AdaptedCLIP, PromptedCLIP
from dpl_nas.space import Architecture
from dpl_nas.tasks import Task
from dpl_nas.training.batches import FewShotImages
from dpl_nas.training.evaluation import Classifier, build_classifier, zero_shot
from dpl_nas.training.few_shot import FewShotTraining
from dpl_nas.training.losses import balancing_weights
from dpl_nas.training.model import class_means, image_features
from dpl_nas.training.problem import Problem
from dpl_nas.training.stacks import split_evenly

__all__ = ["STRENGTHS", "Candidate", "Made", "make_candidates"]

#: Strengths of the prior of a head that is fitted to pictures (:func:`fit_head`).
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2)


@dataclass(frozen=True)
class Candidate:
    """A kind of classifier.

    Attributes
    ----------
    name
        What to call it, such as ``zero-shot``, ``linear probe`` or ``both all x 4``.
    architecture
        Lengths of the context vectors that are trained; ``None`` for the plain backbone.
    captions
        Whether the head begins with the class features of the captions, or without a text tower
        with class means; else with zeros.
    strength
        Strength of that beginning when the head is fitted to the pictures; ``None`` if it is not
        fitted.
    method
        Method that takes the place of all of these, with its settings.
    """

    name: str
    architecture: Architecture | None = None
    captions: bool = True
    strength: float | None = None
    method: MethodConfig | None = field(default=None, hash=False)

    __repr__ = short_repr

    @property
    def vectors(self) -> int | None:
        """Number of context vectors; ``None`` for a method, which learns other things."""
        if self.method is not None:
            return None
        return 0 if self.architecture is None else self.architecture.vectors

    @property
    def trains_towers(self) -> bool:
        """Whether it takes a training in the towers, as far as one knows before."""
        return self.architecture is not None or self.method is not None


@dataclass(frozen=True)
class Made:
    """A candidate that was made of labelled images, and what it has learned."""

    candidate: Candidate
    knowledge: ByHead | ByMethod

    __repr__ = short_repr

    def classifier(self, backbone: Backbone, task: Task) -> ImageClassifier:
        """Return the classifier of a task of the same classes, not calibrated."""
        return ImageClassifier(backbone, self.knowledge.scorer(backbone, task))


@dataclass(frozen=True)
class _Body:
    """A CLIP that candidates share, and what their heads are made of."""

    model: AdaptedCLIP
    vectors: Mapping[str, Tensor]
    captions: LinearHead | None


def make_candidates(
    problem: Problem, candidates: Sequence[Candidate], rows: Sequence[int]
) -> list[Made]:
    """Make candidates of images of the task's pool.

    Those of one architecture share its context vectors, and all architectures are trained side by
    side.

    Raises
    ------
    TaskError
        If two classes have the same caption, and a candidate needs captions.
    """
    made: dict[Candidate, Made] = {}
    for each in candidates:
        if each.method is not None:
            method = make_method(each.method.name, **each.method.settings)
            made[each] = Made(each, ByMethod(method.adapt(problem, rows, quiet=True)))
    made |= _with_heads(problem, [each for each in candidates if each.method is None], rows)
    return [made[each] for each in candidates]


def _with_heads(
    problem: Problem, candidates: Sequence[Candidate], rows: Sequence[int]
) -> dict[Candidate, Made]:
    """Make those that have a head of captions or of pictures."""
    groups: dict[Architecture | None, list[Candidate]] = {}
    for each in candidates:
        groups.setdefault(each.architecture, []).append(each)
    images = None
    if any(each.strength is not None for each in candidates):
        images = FewShotImages(problem.task.pool, rows, problem.backbone, "none")
    weights = None
    if images is not None:
        weights = balancing_weights(problem.recipe, images.labels, len(problem.task.class_names))
    made: dict[Candidate, Made] = {}
    for architecture, body in _bodies(problem, candidates, rows).items():
        group = groups[architecture]
        fitted = any(each.strength is not None for each in group)
        features = image_features(body.model, images) if fitted and images is not None else None
        for each in group:
            head = _start(problem, each, body, features)
            if each.strength is not None and features is not None and images is not None:
                head = fit_head(features, images.labels, head, each.strength, weights)
            made[each] = Made(each, ByHead(head, body.vectors))
    return made


def _bodies(
    problem: Problem, candidates: Sequence[Candidate], rows: Sequence[int]
) -> dict[Architecture | None, _Body]:
    """Train the context vectors of each architecture once."""
    backbone = problem.backbone
    found: dict[Architecture | None, _Body] = {}
    plain = [each for each in candidates if each.architecture is None]
    if plain:
        if any(each.captions for each in plain):
            built = _plain(problem, rows)
            found[None] = _Body(built.model, {}, _caption_head(backbone, built.text_features))
        else:
            # The text tower may be unable to tell the classes apart.
            found[None] = _Body(PromptedCLIP(backbone, {}), {}, None)
    trained = list(dict.fromkeys(each.architecture for each in candidates if each.architecture))
    if trained:
        training = FewShotTraining(problem, rows)
        for part in split_evenly(trained, training.stack_size):
            for prompts in training.train_stack(part):
                built = build_classifier(prompts, backbone)
                head = _caption_head(backbone, built.text_features)
                found[prompts.architecture] = _Body(built.model, prompts.vectors, head)
    return found


def _plain(problem: Problem, rows: Sequence[int]) -> Classifier:
    """The plain backbone with captions, or without a text tower with class means."""
    task, backbone = problem.task, problem.backbone
    if backbone.classes_by != "means":
        return zero_shot(task, backbone)
    return Classifier(PromptedCLIP(backbone, {}), class_means(backbone, task, rows))


def _start(
    problem: Problem, candidate: Candidate, body: _Body, features: Tensor | None
) -> LinearHead:
    """The head that a candidate begins with."""
    if candidate.captions and body.captions is not None:
        return body.captions
    if features is None:
        raise ValueError(f"{candidate.name} has neither captions nor pictures")
    zeros = torch.zeros(len(problem.task.class_names), features.shape[1], device=features.device)
    return LinearHead(zeros, zeros.sum(dim=1))


def _caption_head(backbone: Backbone, text_features: Tensor) -> LinearHead:
    return LinearHead.of_captions(text_features, float(backbone.logit_scale.exp()))
