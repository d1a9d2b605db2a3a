"""What a search can know: a bank of trials, and how well estimators and rules choose by it.

    python -m benchmarks.evidence --out runs/evidence --seeds 1

For each development task (benchmarks/protocol.yml) there are three kinds of candidates: the first
designs of the portfolio, random architectures, and the choice and draws of the alphas of darts.
Each is trained on one half of the shots and validated on the other, and the reverse, for several
numbers of epochs; and on all shots, to be judged on the images of the training pool that nothing
has seen (the truth). No test image is looked at. Each stage is kept, so an interrupted program
goes on.

Four tables are printed: Kendall's tau of each estimator to the truth, with its cost and the truth
of what it chooses among as many candidates as a budget pays for; what each kind is worth; what
rules of near ties choose; and how well candidates are ranked without their own trial, by the
alphas, and by the Gaussian process of the trials of all others.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.protocol import load_protocol
from benchmarks.searches import ALPHAS_ALONE, Variant, configured, judge, train_and_measure
from dpl_nas.config import SearchSettings
from dpl_nas.diagnostics.ranking import kendall_tau
from dpl_nas.engine import Outcome
from dpl_nas.io.files import write_json, write_text
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture, Space, load_space
from dpl_nas.space.fitting import distinct, distinct_sample, portfolio, weighted_draws
from dpl_nas.strategy import make_strategy
from dpl_nas.strategy.logits import log_softmax, softmax
from dpl_nas.strategy.surrogate import Surrogate, placement
from dpl_nas.training.batches import FewShotImages
from dpl_nas.training.problem import Problem
from dpl_nas.validation_score import validation_score

__all__ = ["Estimator", "Row", "choices", "main", "preferred", "taus"]

#: Candidates by kind.
COUNTS = {"portfolio": 10, "random": 6, "alphas": 8}
EPOCHS = (40, 20, 10)
FOLDS = (0, 1)
#: A whole trial of today: as many epochs as the recipe, validated once.
_WHOLE = 40


@dataclass(frozen=True)
class Row:
    """The bank of one task and seed.

    Attributes
    ----------
    kinds, vectors
        Kind and number of context vectors of each candidate.
    truth
        Accuracy (candidates,) on unseen images, shares in 0..1.
    right, losses
        By epochs and fold: for each candidate and validation image whether it was right, and its
        cross-entropy, each (candidates, images).
    architectures
        The candidates, if they are needed.
    by_alphas
        Logarithm of the probability (candidates,) of each by softmax(alpha).
    """

    kinds: Sequence[str]
    vectors: Sequence[int]
    truth: np.ndarray
    right: Mapping[tuple[int, int], np.ndarray]
    losses: Mapping[tuple[int, int], np.ndarray]
    architectures: Sequence[Architecture] = ()
    by_alphas: np.ndarray | None = None


@dataclass(frozen=True)
class Estimator:
    """A score of candidates: epochs of training, number of folds, and what is averaged.

    Attributes
    ----------
    by
        ``accuracy`` (the smaller loss among equals), the log-``likelihood``, or the ``sum`` of
        both, which searches go by.
    """

    epochs: int
    folds: int
    by: str

    @property
    def cost(self) -> float:
        """Cost of a candidate in whole trials of one fold."""
        return self.epochs * self.folds / _WHOLE

    def scores(self, row: Row) -> np.ndarray:
        """Return the score of each candidate."""
        keys = [(self.epochs, fold) for fold in range(self.folds)]
        accuracy: np.ndarray = np.concatenate([row.right[key] for key in keys], axis=1).mean(axis=1)
        losses: np.ndarray = np.concatenate([row.losses[key] for key in keys], axis=1).mean(axis=1)
        found: dict[str, np.ndarray] = {
            "likelihood": -losses,
            "accuracy": accuracy - 1e-6 * losses,
            "sum": np.array(list(map(validation_score, accuracy, losses))),
        }
        return found[self.by]


ESTIMATORS = tuple(
    Estimator(epochs, folds, by)
    for epochs in EPOCHS
    for folds in (1, 2)
    for by in ("accuracy", "likelihood", "sum")
)


def candidates(problem: Problem, options: argparse.Namespace, task: str, seed: int) -> Any:
    """Return the candidates with their kinds, each architecture once; plain values for JSON."""
    alone = configured(task, Variant("darts", ALPHAS_ALONE), seed, options)
    found = make_strategy(alone.strategy).search(problem)
    alphas = found.records[-1].alpha
    weights = {label: softmax(logits) for label, logits in alphas.items()}
    space, rng = problem.space, random.Random(derive_seed(seed, "evidence"))
    draw = weighted_draws(space, weights)
    chosen: dict[Architecture, str] = {}
    for design in list(portfolio(space).values())[: COUNTS["portfolio"]]:
        chosen[design] = "portfolio"
    chosen.setdefault(found.architecture, "alphas")
    for each in distinct(lambda: draw(rng), COUNTS["alphas"] - 1, tries=200, known=chosen):
        chosen[each] = "alphas"
    for each in distinct_sample(space, rng, COUNTS["random"]):
        chosen.setdefault(each, "random")
    return {
        "kinds": list(chosen.values()),
        "lengths": [each.by_label() for each in chosen],
        "vectors": [each.vectors for each in chosen],
        "alphas": {label: list(logits) for label, logits in alphas.items()},
    }


def validated(
    problem: Problem, architectures: Sequence[Architecture], epochs: int, fold: int
) -> list[Outcome]:
    """Train on one half of the shots for ``epochs``, and validate on the other."""
    split = problem.split(SearchSettings(validation="split"))
    parts = (split.train, split.validation)
    if fold:
        parts = parts[::-1]
    problem = problem.having(recipe=problem.recipe.model_copy(update={"epochs": epochs}))
    images = FewShotImages(problem.task.pool, parts[1], problem.backbone, "none")
    return train_and_measure(problem, architectures, parts[0], images)


def collect(task: str, seed: int, file: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure what is missing of the bank of a task and seed."""
    row: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    problem = Problem.of_run(configured(task, Variant("darts"), seed, options))

    def keep(stage: str, make: Callable[[], Any]) -> None:
        if stage not in row:
            row[stage] = make()
            write_json(file, row)
            sys.stderr.write(f"{task} {seed}: {stage}\n")

    keep("candidates", lambda: candidates(problem, options, task, seed))
    architectures = [problem.space.architecture(each) for each in row["candidates"]["lengths"]]
    for epochs in EPOCHS:
        for fold in FOLDS:
            keep(
                f"{epochs} {fold}",
                lambda epochs=epochs, fold=fold: [  # type: ignore[misc]
                    {
                        "right": [int(each) for each in outcome.right],
                        "losses": [round(each, 5) for each in outcome.losses],
                    }
                    for outcome in validated(problem, architectures, epochs, fold)
                ],
            )
        if epochs == EPOCHS[0]:
            keep("truth", lambda: list(judge(problem, architectures, 1.0, "unseen").values()))
    return row


def parse(row: Mapping[str, Any], space: Space) -> Row:
    """Return the arrays of a bank of a space."""
    keys = [(epochs, fold) for epochs in EPOCHS for fold in FOLDS if f"{epochs} {fold}" in row]

    def stacked(name: str) -> dict[tuple[int, int], np.ndarray]:
        return {
            key: np.array([each[name] for each in row[f"{key[0]} {key[1]}"]], float) for key in keys
        }

    made = row["candidates"]
    logs = {label: log_softmax(logits) for label, logits in made["alphas"].items()}
    lengths = {label: space.towers[tower].lengths for label, tower, _ in space.labels()}
    return Row(
        made["kinds"],
        made["vectors"],
        np.array(row["truth"]),
        stacked("right"),
        stacked("losses"),
        [space.architecture(each) for each in made["lengths"]],
        np.array(
            [
                sum(logs[label][lengths[label].index(length)] for label, length in each.items())
                for each in made["lengths"]
            ]
        ),
    )


def unseen_scores(row: Row, estimator: Estimator) -> np.ndarray:
    """Return what the Gaussian process of all other trials says of each candidate's score."""
    scores = estimator.scores(row)
    found = np.zeros(len(scores))
    for place in range(len(scores)):
        others = [each for each in range(len(scores)) if each != place]
        process = Surrogate.fit(
            [row.architectures[each] for each in others], [float(scores[each]) for each in others]
        )
        mean, _ = process.posterior(placement([row.architectures[place]]))
        found[place] = process.mean + process.sd * float(mean[0])
    return found


def taus(rows: Sequence[Row], estimator: Estimator) -> list[float]:
    """Kendall's tau of the estimator to the truth in each bank."""
    return [kendall_tau(estimator.scores(row), row.truth) for row in rows]


def choices(
    row: Row, estimator: Estimator, kinds: Sequence[str], trials: float, repeats: int = 200
) -> float:
    """Return the mean truth of what the estimator chooses from random subsets of some kinds.

    A subset has as many candidates as a budget of so many whole trials pays for.
    """
    places = [place for place, kind in enumerate(row.kinds) if kind in kinds]
    scores = estimator.scores(row)
    count = min(len(places), int(trials / estimator.cost))
    rng = random.Random(1)
    draws = [rng.sample(places, count) for _ in range(repeats)]
    return fmean(float(row.truth[max(draw, key=lambda place: scores[place])]) for draw in draws)


def preferred(row: Row, rule: str, errors: float, epochs: int, repeats: int = 200) -> float:
    """Return the mean truth of what a rule of near ties chooses among 16 random candidates.

    Parameters
    ----------
    rule
        ``manual``: the best manual design among those near the best; ``fewest``: the best of those
        with the fewest vectors.
    errors
        How near: so many standard errors of the paired differences of the score.
    """
    values = row.right[epochs, 0] - row.losses[epochs, 0]
    scores = values.mean(axis=1)
    rng = random.Random(1)
    found = []
    for _ in range(repeats):
        draw = rng.sample(range(len(scores)), min(16, len(scores)))
        best = max(draw, key=lambda place: scores[place])
        behind = values[best] - values[draw]
        allowed = errors * behind.std(axis=1) / np.sqrt(values.shape[1]) + 1e-12
        close = behind.mean(axis=1) <= allowed
        near = [place for place, each in zip(draw, close, strict=True) if each]
        if rule == "manual":
            liked = [place for place in near if row.kinds[place] == "portfolio"]
        else:
            fewest = min(row.vectors[place] for place in near)
            liked = [place for place in near if row.vectors[place] == fewest]
        found.append(row.truth[max(liked or [best], key=lambda place: scores[place])])
    return float(np.mean(found))


def tables(rows: Mapping[str, Row]) -> Iterator[str]:
    """Yield lines of Markdown."""
    tasks = list(dict.fromkeys(key.split()[0] for key in rows))
    every = list(rows.values())
    present = [
        each
        for each in ESTIMATORS
        if all((each.epochs, fold) in row.right for row in every for fold in range(each.folds))
    ]
    yield "| epochs | folds | by | cost | " + " | ".join(tasks) + " | tau | 8 trials | 16 trials |"
    yield "|" + " --- |" * (7 + len(tasks))
    for each in present:
        cells = [str(each.epochs), str(each.folds), each.by, f"{each.cost:g}"]
        for task in tasks:
            of_task = [row for key, row in rows.items() if key.split()[0] == task]
            cells.append(f"{fmean(taus(of_task, each)):.2f}")
        cells.append(f"{fmean(taus(every, each)):.2f}")
        for trials in (8, 16):
            chosen = fmean(choices(row, each, tuple(COUNTS), trials) for row in every)
            cells.append(f"{100 * chosen:.1f}")
        yield "| " + " | ".join(cells) + " |"
    yield ""
    yield "| kind | mean truth | best | first | by a whole trial of all |"
    yield "| --- | --- | --- | --- | --- |"
    whole = Estimator(_WHOLE, 1, "accuracy")
    for kind in COUNTS:
        places = [[at for at, of in enumerate(row.kinds) if of == kind] for row in every]
        truths = [row.truth[at] for row, at in zip(every, places, strict=True)]
        chosen = fmean(choices(row, whole, (kind,), 99, 1) for row in every)
        values = [fmean(map(np.mean, truths)), fmean(map(np.max, truths))]
        values += [fmean(each[0] for each in truths), chosen]
        yield f"| {kind} | " + " | ".join(f"{100 * each:.1f}" for each in values) + " |"
    yield ""
    errors = (0.0, 0.5, 1.0, 2.0)
    yield "| epochs | among near ties | " + " | ".join(f"{each:g} SE" for each in errors) + " |"
    yield "|" + " --- |" * (2 + len(errors))
    for epochs in sorted({each.epochs for each in present}, reverse=True):
        for rule in ("manual", "fewest"):
            means = [fmean(preferred(row, rule, each, epochs) for row in every) for each in errors]
            cells = [str(epochs), rule, *(f"{100 * each:.1f}" for each in means)]
            yield "| " + " | ".join(cells) + " |"
    if all(row.architectures for row in every):
        yield ""
        yield from _without_a_trial(rows, sorted({each.epochs for each in present}, reverse=True))


def _without_a_trial(rows: Mapping[str, Row], epochs: Sequence[int]) -> Iterator[str]:
    """Yield lines of Markdown on how candidates are ranked without their own trial."""
    tasks = list(dict.fromkeys(key.split()[0] for key in rows))
    yield "| ranked by | " + " | ".join(tasks) + " | tau |"
    yield "|" + " --- |" * (2 + len(tasks))
    found: dict[str, dict[str, float]] = {"alphas": {}}
    for key, row in rows.items():
        if row.by_alphas is not None:
            found["alphas"][key] = kendall_tau(row.by_alphas, row.truth)
        for each in epochs:
            scores = unseen_scores(row, Estimator(each, 1, "sum"))
            name = f"trials of the others, {each} epochs"
            found.setdefault(name, {})[key] = kendall_tau(scores, row.truth)
    for name, values in found.items():
        means = [
            fmean(value for key, value in values.items() if key.split()[0] == task)
            for task in tasks
        ]
        cells = [name, *(f"{mean:.2f}" for mean in means), f"{fmean(values.values()):.2f}"]
        yield "| " + " | ".join(cells) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evidence",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--space", default="mini_clip_budget12")
    parser.add_argument("--tasks", nargs="+", default=list(load_protocol().development))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only-print", action="store_true", help="measure nothing")
    parser.add_argument("changed", nargs="*", help="settings of all searches: train.epochs=2")
    options = parser.parse_args(arguments)
    load_protocol().refuse_held_out(parser, options.tasks)
    rows: dict[str, Row] = {}
    space = load_space(options.space)
    for seed in options.seeds:
        for task in options.tasks:
            file = options.out / options.space / f"{task.replace('/', '-')}-{seed}.json"
            if options.only_print and not file.exists():
                continue
            row = json.loads(file.read_text()) if options.only_print else None
            row = row or collect(task, seed, file, options)
            if "truth" in row:
                rows[f"{task} {seed}"] = parse(row, space)
    text = "\n".join(tables(rows)) + "\n"
    write_text(options.out / f"{options.space}.md", text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
