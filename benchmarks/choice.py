"""What to take from a search: the best of its trials by several rules, and how good that is.

    python -m benchmarks.choice --out runs/choice --searched runs/development --seeds 1

The best of many trials is partly the luckiest. For each search by ``darts``, which is made without
finals where the folder lacks it, its best trials and its best manual designs are trained again: for
the epochs of a trial on the other half of the shots, for all epochs on both halves, and on all
shots, to be judged on the images of the training pool that nothing has seen (the truth). No test
image is looked at. The table has the truth of what each rule would choose. Each search's
measurements are kept, so an interrupted program goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.evidence import validated
from benchmarks.protocol import load_protocol
from benchmarks.searches import Variant, configured, judge, search_parser
from dpl_nas.engine import Outcome, whole_trials
from dpl_nas.engine.paired import paired_difference
from dpl_nas.io.files import read_json, write_json, write_text
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space.fitting import portfolio
from dpl_nas.strategy import make_strategy
from dpl_nas.strategy.finals import joined
from dpl_nas.strategy.surrogate import Surrogate, placement
from dpl_nas.training.problem import Problem

__all__ = ["RULES", "main", "table"]

#: So many of the best trials, and of the best manual designs, may be chosen.
_BEST, _MANUAL = 8, 3

#: What is measured of the candidates of a search, by name.
Row = Mapping[str, Sequence[float]]


def _best_of(*names: str) -> Callable[[Row], np.ndarray]:
    return lambda row: np.sum([row[name] for name in names], axis=0)


def _usual_unless(errors: float) -> Callable[[Row], np.ndarray]:
    """The best on both halves if it is so many standard errors ahead of the usual design."""

    def score(row: Row) -> np.ndarray:
        both = np.add(row["trial"], row["other half"])
        best = int(both.argmax())
        clear = row["ahead"][best] > errors * row["ahead error"][best]
        return both if clear else np.array(row["usual"])

    return score


def _two_rounds(row: Row) -> np.ndarray:
    """By both halves, but only among the four best of the search."""
    both = np.add(row["trial"], row["other half"])
    fourth = sorted(row["trial"], reverse=True)[:4][-1]
    return np.where(np.array(row["trial"]) >= fourth, both, -np.inf)


#: The score of each candidate by name of the rule; the first is what searches do.
RULES: dict[str, Callable[[Row], np.ndarray]] = {
    "trial": _best_of("trial"),
    "Gaussian process": _best_of("process"),
    "trial and process": _best_of("trial", "process"),
    "trial and other half": _best_of("trial", "other half"),
    "process and other half": _best_of("process", "other half"),
    "other half": _best_of("other half"),
    "trial and other half of the best 4": _two_rounds,
    "whole training": _best_of("whole"),
    "trial and whole training": _best_of("trial", "whole"),
    "whole training on the other half": _best_of("whole other half"),
    "whole training on both halves": _best_of("whole", "whole other half"),
    "all": _best_of("process", "other half", "whole", "whole other half"),
    "the usual design": lambda row: np.array(row["usual"]),
    "the usual design unless 0.5 SE behind": _usual_unless(0.5),
    "the usual design unless 1 SE behind": _usual_unless(1.0),
    "the usual design unless 2 SE behind": _usual_unless(2.0),
    "best manual design by its trial": lambda row: np.where(
        np.array(row["manual"]) > 0, row["trial"], -np.inf
    ),
    "the best, known afterwards": _best_of("truth"),
}


def collect(task: str, seed: int, options: Any) -> dict[str, list[float]]:
    """Measure the candidates of the search of a task and seed."""
    # The margin decides after all trials, which are all that is taken from the search.
    config = configured(task, Variant("darts", ("search.finalists=0",)), seed, options)
    problem = Problem.of_run(config)
    place = options.searched / options.space / task.replace("/", "-") / str(seed) / "darts"
    place.mkdir(parents=True, exist_ok=True)
    found = make_strategy(config.strategy).search(
        problem, SearchBudget.parse(options.budget), folder=place
    )
    trials = list(whole_trials(found.evaluations))
    designs = set(portfolio(problem.space).values())
    manual = [each for each in trials if each.architecture in designs]
    usual = next(iter(portfolio(problem.space).values()))
    known = [each for each in trials if each.architecture == usual]
    chosen = list(dict.fromkeys([*trials[:_BEST], *manual[:_MANUAL], *known]))
    architectures = [each.architecture for each in chosen]
    process = Surrogate.fit([each.architecture for each in trials], [each.score for each in trials])
    means, _ = process.posterior(placement(architectures))
    epochs = problem.recipe.epochs
    others = validated(problem, architectures, trials[0].epochs, 1)
    both = [
        joined(first.outcome, other)
        for first, other in zip(chosen, others, strict=True)
        if first.outcome is not None
    ]
    differences = [paired_difference(each, both[architectures.index(usual)]) for each in both]

    def scores(outcomes: Sequence[Outcome]) -> list[float]:
        return [each.score for each in outcomes]

    return {
        "trial": [each.score for each in chosen],
        "manual": [float(each.architecture in designs) for each in chosen],
        "vectors": [float(each.vectors) for each in architectures],
        "process": [process.mean + process.sd * float(each) for each in means],
        "other half": scores(others),
        "usual": [float(each == usual) for each in architectures],
        "ahead": [each.score for each in differences if each is not None],
        "ahead error": [each.score_error for each in differences if each is not None],
        "whole": scores(validated(problem, architectures, epochs, 0)),
        "whole other half": scores(validated(problem, architectures, epochs, 1)),
        "truth": list(judge(problem, architectures, 1.0, "unseen").values()),
    }


def table(rows: Mapping[str, Row]) -> Iterator[str]:
    """Yield lines of Markdown: the truth of what each rule chooses, in percent."""
    tasks = list(dict.fromkeys(key.split()[0] for key in rows))
    yield "| rule | " + " | ".join(tasks) + " | mean | vectors |"
    yield "|" + " --- |" * (3 + len(tasks))
    for name, rule in RULES.items():
        chosen = {key: int(rule(row).argmax()) for key, row in rows.items()}
        truths = [
            fmean(row["truth"][chosen[key]] for key, row in rows.items() if key.split()[0] == task)
            for task in tasks
        ]
        vectors = fmean(row["vectors"][chosen[key]] for key, row in rows.items())
        cells = [f"{100 * each:.1f}" for each in [*truths, fmean(truths)]]
        yield f"| {name} | " + " | ".join(cells) + f" | {vectors:.0f} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing and print the table."""
    protocol = load_protocol()
    parser = search_parser("choice", __doc__, {"darts": Variant("darts")})
    parser.add_argument("--tasks", nargs="+", default=list(protocol.development))
    parser.add_argument("--searched", type=Path, required=True, help="folder of the searches")
    parser.add_argument("--only-print", action="store_true", help="measure nothing")
    options = parser.parse_args(arguments)
    protocol.refuse_held_out(parser, options.tasks)
    rows: dict[str, Row] = {}
    for seed in options.seeds:
        for task in options.tasks:
            file = options.out / options.space / f"{task.replace('/', '-')}-{seed}.json"
            if not file.exists():
                if options.only_print:
                    continue
                write_json(file, collect(task, seed, options))
                sys.stderr.write(f"{task} {seed}\n")
            rows[f"{task} {seed}"] = read_json(file)
    text = "\n".join(table(rows)) + "\n"
    write_text(options.out / f"{options.space}.md", text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
