"""How a model of images alone should know its classes: fixed class means or learned, which scale.

    python -m benchmarks.class_features

On each development task, 16 shots and seed 1 are drawn from the training pool, and the images of
the pool that were not drawn (1500 at most) are the test; no test image is looked at. Designs of the
embedded image tower are trained by the default recipe, with each factor on cosines. The mean over
designs and tasks decides the default of ``train.class_features`` and of the factor.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Literal

from benchmarks.protocol import load_protocol
from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.config import TrainSettings
from dpl_nas.methods.class_means import ClassMeans
from dpl_nas.methods.linear_probe import LinearProbe
from dpl_nas.space import Architecture, Space, load_space
from dpl_nas.tasks import ImageSet, load_task
from dpl_nas.tasks.views import SomeImages
from dpl_nas.training.evaluation import Scorer, score
from dpl_nas.training.few_shot import FewShotTraining
from dpl_nas.training.problem import Problem

__all__ = ["main", "measure", "table"]

_SHOTS, _SEED, _MOST = 16, 1, 1500
_SCALES = (10, 30, 100)
_KINDS: tuple[Literal["fixed", "learned"], ...] = ("fixed", "learned")

#: Accuracies by what is trained.
Row = Mapping[str, float]


def designs(space: Space) -> dict[str, Architecture]:
    """No vectors, a few everywhere, and as many in the first layers alone."""
    (tower,) = space.towers
    layers = space.towers[tower].layers
    first = layers[: len(layers) // 4]
    lengths = {f"{tower}/{layer}": (4 if layer in first else 0) for layer in layers}
    return {
        "none": space.uniform(0),
        "2 everywhere": space.uniform(2),
        "4 in the first quarter": space.architecture(lengths),
    }


def measure(
    name: str, space: Space, backbone: Backbone, scales: Sequence[float] = _SCALES, epochs: int = 40
) -> Row:
    """Train on the shots of a task, and test on the rest of its pool."""
    task = load_task(name)
    problem = Problem.of(space, task, shots=_SHOTS, seed=_SEED, backbone=backbone)
    drawn = set(problem.shot_rows)
    rest = [row for row in range(len(task.pool.labels)) if row not in drawn][:_MOST]
    scorers: dict[str, Scorer] = {
        "linear probe": LinearProbe().adapt(problem, quiet=True).scorer(backbone, task),
        "class means": ClassMeans().adapt(problem, quiet=True).scorer(backbone, task),
    }
    usual = backbone.logit_scale.clone()
    found = _tested(scorers, task.pool, rest, backbone)
    for scale in scales:
        backbone.logit_scale.fill_(math.log(scale))
        for kind in _KINDS:
            recipe = TrainSettings(epochs=epochs, class_features=kind)
            training = FewShotTraining(problem.having(recipe=recipe))
            # Without vectors, fixed class means have nothing to learn.
            trained = {
                design: architecture
                for design, architecture in designs(space).items()
                if architecture.vectors or kind == "learned"
            }
            made = training.scorers_of(list(trained.values()))
            named = {
                f"{scale:g}, {kind}, {design}": scorer
                for design, scorer in zip(trained, made, strict=True)
            }
            found |= _tested(named, task.pool, rest, backbone)
    backbone.logit_scale.copy_(usual)
    return found


def _tested(
    scorers: Mapping[str, Scorer], pool: ImageSet, rows: Sequence[int], backbone: Backbone
) -> dict[str, float]:
    images = SomeImages(pool, rows, [pool.labels[row] for row in rows])
    return {name: each.accuracy for name, each in score(scorers, images, backbone).items()}


def table(rows: Mapping[str, Row]) -> Iterator[str]:
    """Yield the lines of a Markdown table: a column a task, and the mean."""
    yield f"| trained | {' | '.join(rows)} | mean |"
    yield f"|---|{'---:|' * (len(rows) + 1)}"
    for name in next(iter(rows.values())):
        values = [row[name] for row in rows.values()]
        told = " | ".join(f"{value:.1%}" for value in (*values, fmean(values)))
        yield f"| {name} | {told} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.class_features")
    parser.add_argument("--tasks", nargs="+", default=list(load_protocol().development))
    parser.add_argument("--scales", nargs="+", type=float, default=_SCALES)
    parser.add_argument("--epochs", type=int, default=40)
    given = parser.parse_args(arguments)
    load_protocol().refuse_held_out(parser, given.tasks)
    space = load_space("mini_vit")
    backbone = load_backbone(space.backbone)
    rows = {
        name: measure(name, space, backbone, given.scales, given.epochs) for name in given.tasks
    }
    sys.stdout.write("\n".join(table(rows)) + "\n")


if __name__ == "__main__":
    main()
