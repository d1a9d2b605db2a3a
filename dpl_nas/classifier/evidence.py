"""How good each candidate is on images that it was not made of: cross-fitting."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.classifier.calibration import fit_temperature
from dpl_nas.classifier.candidates import Candidate, make_candidates
from dpl_nas.io.reprs import short_repr
from dpl_nas.seeds import derive_seed
from dpl_nas.training.batches import FewShotImages
from dpl_nas.training.losses import class_weights, weighted_cross_entropy
from dpl_nas.training.problem import Problem
from dpl_nas.validation_score import validation_score

__all__ = ["Evidence", "cross_fit", "folds_of", "ranked"]

_BATCH = 100


@dataclass(frozen=True)
class Evidence:
    """A candidate, and its logits for every labelled image by a fold that lacks the image.

    Attributes
    ----------
    logits, labels
        ``(images, classes)`` and ``(images,)``.
    seconds
        Seconds that it took; those of candidates that are made together are shared evenly.
    balanced
        Whether every class counts the same in the :attr:`score`, however many images it has.
    """

    candidate: Candidate
    logits: Tensor
    labels: Tensor
    seconds: float
    balanced: bool = False

    __repr__ = short_repr

    @cached_property
    def temperature(self) -> float:
        """The temperature that calibrates the logits."""
        return fit_temperature(self.logits, self.labels)

    @property
    def accuracy(self) -> float:
        """Accuracy, a share in 0..1."""
        return float((self.logits.argmax(dim=1) == self.labels).double().mean())

    @cached_property
    def loss(self) -> float:
        """Mean cross-entropy of the calibrated probabilities, in nats."""
        return float(functional.cross_entropy(self.logits / self.temperature, self.labels))

    @property
    def score(self) -> float:
        """The number to maximise: :func:`~dpl_nas.validation_score.validation_score`."""
        if not self.balanced:
            return validation_score(self.accuracy, self.loss)
        weights = class_weights(self.labels, self.logits.shape[1])
        right = (self.logits.argmax(dim=1) == self.labels) * weights[self.labels]
        loss = weighted_cross_entropy(self.logits / self.temperature, self.labels, weights)
        return validation_score(float(right.mean()), float(loss))


def folds_of(labels: Sequence[int], seed: int, count: int = 2) -> list[int]:
    """Return the fold of each image: every class is spread over all folds as evenly as can be.

    The only image of a class is in one fold, which no other image of the class can help to judge.
    """
    rng = random.Random(derive_seed(seed, "folds"))
    found = [0] * len(labels)
    for label in sorted(set(labels)):
        rows = [row for row, of in enumerate(labels) if of == label]
        rng.shuffle(rows)
        first = rng.randrange(count)
        for place, row in enumerate(rows):
            found[row] = (first + place) % count
    return found


def cross_fit(
    problem: Problem,
    candidates: Sequence[Candidate],
    rows: Sequence[int],
    *,
    folds: int = 2,
) -> list[Evidence]:
    """Make candidates of all folds but one, and classify that one; of each fold in turn.

    Parameters
    ----------
    rows
        Indices into the task's pool.
    """
    started = time.perf_counter()
    backbone, task = problem.backbone, problem.task
    labels = [task.pool.labels[row] for row in rows]
    places = folds_of(labels, problem.seed, folds)
    logits = torch.zeros(len(candidates), len(rows), len(task.class_names))
    for fold in range(folds):
        held = [at for at, place in enumerate(places) if place == fold]
        others = [row for row, place in zip(rows, places, strict=True) if place != fold]
        made = make_candidates(problem, candidates, others)
        images = FewShotImages(task.pool, [rows[at] for at in held], backbone, "none")
        classifiers = [each.classifier(backbone, task) for each in made]
        for part in images.parts(_BATCH):
            pixels, _ = images.batch(part, 0)
            for number, classifier in enumerate(classifiers):
                logits[number, held[part.start : part.stop]] = classifier.logits(pixels).cpu()
    seconds = (time.perf_counter() - started) / max(1, len(candidates))
    truth = torch.tensor(labels)
    balanced = problem.recipe.balance != "none"
    return [
        Evidence(candidate, part, truth, seconds, balanced)
        for candidate, part in zip(candidates, logits, strict=True)
    ]


def ranked(found: Iterable[Evidence]) -> list[Evidence]:
    """Return the best by score first; among equals those with fewer context vectors, in order."""
    return sorted(found, key=lambda each: (-each.score, each.candidate.vectors or 0))
