"""Runs of every strategy on every task, space and seed, each in its own run folder."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dpl_nas.cells import CellJob, kept_cells, make_cells
from dpl_nas.comparison.cell import Cell, unique, write_cells
from dpl_nas.comparison.references import Reference, name_in, references_beside
from dpl_nas.config import RunConfig
from dpl_nas.console import watched
from dpl_nas.errors import CheckpointError, ComparisonError
from dpl_nas.io.arguments import checked
from dpl_nas.io.files import read_sealed, write_json
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.run_files import EVALUATIONS, SEARCH
from dpl_nas.io.work_folder import claimed_folder, folder_name
from dpl_nas.observer import Observer, Stage
from dpl_nas.space import Tower
from dpl_nas.tasks import Task, configured_task

__all__ = ["STAGE", "Plan", "run_cells"]

#: The name of the stage for observers.
STAGE = Stage.COMPARE

_PLAN = "plan.json"


@dataclass(frozen=True)
class Plan:
    """The plan of a comparison.

    Attributes
    ----------
    configs
        Configurations of the runs; the names of the strategies tell them apart.
    uniform_length
        Length of the uniform design beside them, whatever the limits of the space.
    baseline
        Strategy or reference that all others will be compared with, if any. It is checked before
        hours of work.

    Raises
    ------
    ComparisonError
        If two cells would be the same, or there is no such baseline.
    """

    configs: tuple[RunConfig, ...]
    uniform_length: int = 4
    baseline: str | None = None

    __repr__ = short_repr

    @property
    def references(self) -> tuple[str, ...]:
        """The names of the references: zero-shot, and designs of each method."""
        return unique(
            each.name
            for config in self.configs
            for each in references_beside(config, self.uniform_length)
        )

    def __post_init__(self) -> None:
        strategies = unique(_name(config) for config in self.configs)
        taken = sorted(set(strategies) & set(self.references))
        if taken:
            raise ComparisonError(
                f"{taken[0]} is the name of a reference: give the strategy another name"
            )
        known = (*strategies, *self.references)
        if self.baseline is not None and self.baseline not in known:
            raise ComparisonError(
                f"the baseline {self.baseline} is not compared: choose one of {', '.join(known)}"
            )
        places = [_place(config) for config in self.configs]
        twice = sorted({str(place) for place in places if places.count(place) > 1})
        if twice:
            raise ComparisonError(
                f"two cells would have the folder {twice[0]}: give each strategy, space, task and "
                "seed once, under different names"
            )


@dataclass(frozen=True)
class _Job(CellJob[Cell]):
    """The strategy of ``config``, or a reference beside it, to be run."""

    config: RunConfig
    folder: Path
    images: str
    reference: Reference | None = None

    table = "comparison"

    __repr__ = short_repr

    @property
    def name(self) -> str:
        return self.reference.name if self.reference else _name(self.config)

    @property
    def task(self) -> str:
        return self.config.task

    def describe(self) -> str:
        config = self.config
        return f"{self.name} on {config.task}, {config.space.name}, seed {config.seed}"

    def identity(self) -> Mapping[str, Any]:
        config = self.config.model_dump(mode="json")
        if self.reference:
            # References do not depend on the search settings of strategies.
            config["strategy"] = {"train": config["strategy"]["train"]}
            config.pop("budget")
            if self.reference.kind == "plain":
                # It is the same for all methods, whose spaces may have other towers.
                config.pop("method", None)
                config["space"] = {key: config["space"][key] for key in ("name", "backbone")}
        config.pop("jobs")
        return config

    def head(self) -> Mapping[str, Any]:
        config = self.config
        return {
            "task": config.task,
            "space": config.space.name,
            "strategy": self.name,
            "seed": config.seed,
            "shots": config.shots,
            "reference": self.reference is not None,
        }

    def make(self) -> Cell:
        return _reference(self, self.reference) if self.reference else _strategy(self)

    def failed(self, error: str) -> Cell:
        return Cell(
            **self.head(),
            lengths=_no_lengths(self),
            vectors=0,
            test_accuracy=None,
            test_macro_f1=None,
            error=error,
        )

    def plain(self, cell: Cell) -> Mapping[str, Any]:
        return cell.to_json()

    def parsed(self, content: Any, place: str) -> Cell:
        try:
            return Cell.from_json(content)
        except ComparisonError as error:
            raise CheckpointError(f"{place}: {error}; remove it to run the cell again") from error

    def outcome(self, cell: Cell) -> str:
        return f"{cell.test_accuracy:.1%} with {cell.vectors} vectors"

    def metrics(self, cell: Cell) -> Mapping[str, float]:
        return {} if cell.test_accuracy is None else {"test_accuracy": cell.test_accuracy}


@checked()
def run_cells(
    plan: Plan,
    folder: AnyPath,
    *,
    jobs: int = 1,
    observer: Observer | None = None,
    quiet: bool = False,
) -> list[Cell]:
    """Run all cells that are missing; return all cells in the order of the plan.

    Every cell has its own process, and so its own memory. A cell is kept as soon as it ends; an
    interrupted cell goes on. A failed cell is returned with its error, and the next call tries it
    again.

    Parameters
    ----------
    jobs
        Number of cells side by side, each with its share of the cores.
    observer
        Observer that is told of the progress instead of the terminal or notebook.
    quiet
        Whether to draw no progress.

    Raises
    ------
    TaskError
        If a task cannot be found, or has too few images.
    OutputError
        If ``folder`` is in use by another comparison, or cannot be written.
    """
    with watched(observer, quiet=quiet) as watching:
        return _run_cells(plan, Path(folder), jobs, watching)


def _run_cells(plan: Plan, folder: Path, jobs: int, observer: Observer) -> list[Cell]:
    # Errors that all cells of a task share are raised at once.
    work = _jobs(plan, folder, _digests(plan))
    with claimed_folder(folder, _Job.table, _PLAN, _is_plan):
        kept = kept_cells(work)
        write_json(folder / _PLAN, [config.model_dump(mode="json") for config in plan.configs])
        # They are written even if nothing is left to run: somebody may have removed the file.
        told = partial(write_cells, folder / "cells.json")
        return make_cells(work, kept, STAGE, jobs=jobs, observer=observer, told=told)


def _digests(plan: Plan) -> list[str]:
    """Digests of the images of each run of the plan; the images are known to be there."""
    # It needs torch, which is slow to import.
    from dpl_nas.methods import problem_of_run

    tasks: dict[Hashable, Task] = {}
    found: dict[Hashable, str] = {}
    digests = []
    for config in plan.configs:
        place = config.task, config.data, config.classes
        if place not in tasks:
            tasks[place] = configured_task(config)
        problem = problem_of_run(config, tasks[place])
        problem.split(config.strategy.search)
        key = place, config.shots, config.seed
        if key not in found:
            found[key] = problem.digest()
        digests.append(found[key])
    return digests


def _jobs(plan: Plan, folder: Path, images: Sequence[str]) -> list[_Job]:
    jobs = [
        _Job(config, folder / "runs" / _place(config), digest)
        for config, digest in zip(plan.configs, images, strict=True)
    ]
    references: dict[Path, _Job] = {}
    for job in jobs:
        config = job.config
        for each in references_beside(config, plan.uniform_length):
            place = folder / "references" / _place(config, each.name)
            references.setdefault(place, _Job(config, place, job.images, each))
    return [*jobs, *references.values()]


def _name(config: RunConfig) -> str:
    """The name of a run's strategy in tables."""
    return name_in(config.method, config.strategy.name)


def _place(config: RunConfig, name: str | None = None) -> Path:
    task = config.task.strip("/").replace("/", "_").replace("\\", "_")
    return (
        Path(folder_name(config.space.name))
        / f"{folder_name(task)}-{config.shots}-shots"
        / folder_name(name or _name(config))
        / f"seed-{config.seed}"
    )


def _strategy(job: _Job) -> Cell:
    from dpl_nas.runs import run
    from dpl_nas.runs.result import SearchRecord, read_record

    folder = job.folder / "run"
    result = run(job.config, folder, resume=folder.exists(), baselines=False, quiet=True)
    search = result.search
    trials = folder / EVALUATIONS
    remedy = f"remove {folder} to run the cell again"
    curve = read_sealed(trials, remedy)["curve"] if trials.exists() else []
    if not curve and search.validation_accuracy is not None:
        curve = [(search.steps, result.seconds[Stage.SEARCH], search.validation_accuracy)]
    found = result.test["found"]
    return Cell(
        **job.head(),
        lengths=_named(found.lengths),
        vectors=found.vectors,
        test_accuracy=found.accuracy,
        test_macro_f1=found.macro_f1,
        validation_accuracy=search.validation_accuracy,
        steps=search.steps,
        images=search.images,
        seconds=result.seconds[Stage.SEARCH],
        peak_bytes=read_record(folder / SEARCH, SearchRecord, remedy).peak_bytes,
        mean_entropy=search.mean_entropy,
        evaluations=search.evaluations,
        failures=search.failures,
        stopped_by=search.stopped_by,
        curve=curve,
    )


def _reference(job: _Job, reference: Reference) -> Cell:
    from dpl_nas.methods import problem_of_run
    from dpl_nas.training.evaluation import score

    problem = problem_of_run(job.config)
    scorer, lengths = reference.scorer(problem)
    metrics = score({"it": scorer}, problem.task.test, problem.backbone)["it"]
    return Cell(
        **job.head(),
        lengths={**_no_lengths(job), **lengths},
        vectors=sum(map(sum, lengths.values())),
        test_accuracy=metrics.accuracy,
        test_macro_f1=metrics.macro_f1,
    )


def _named(lengths: Mapping[Tower, Sequence[int]]) -> dict[str, Sequence[int]]:
    return {str(tower): part for tower, part in lengths.items()}


def _no_lengths(job: _Job) -> dict[str, Sequence[int]]:
    return {str(tower): [0] * len(part.layers) for tower, part in job.config.space.towers.items()}


def _is_plan(content: Any) -> bool:
    return isinstance(content, list) and all(
        isinstance(each, dict) and {"task", "space", "strategy"} <= set(each) for each in content
    )
