"""Runs of every method on every task, each in a process and a folder of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpl_nas.bench.cell import BenchCell
from dpl_nas.bench.plan import BenchPlan, Job
from dpl_nas.bench.tuning import tuned
from dpl_nas.cells import CellJob, kept_cells, make_cells
from dpl_nas.config import Classes
from dpl_nas.console import watched
from dpl_nas.errors import BenchError, CheckpointError
from dpl_nas.io.arguments import checked
from dpl_nas.io.files import make_folder, write_json
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.validation import validate
from dpl_nas.io.work_folder import claimed_folder
from dpl_nas.methods import Method
from dpl_nas.methods.depths import lengths_of
from dpl_nas.observer import Observer, Stage
from dpl_nas.space import Tower
from dpl_nas.tasks import Task, load_task
from dpl_nas.tasks.names import tell_names
from dpl_nas.training.searched import check_supernet

if TYPE_CHECKING:
    from dpl_nas.training.problem import Problem

__all__ = ["run_bench"]

_PLAN, _STATE, _SEARCH = "bench.json", "training.state", "search"


@dataclass(frozen=True)
class _Work(CellJob[BenchCell]):
    """A method that learns and is tested, to be run."""

    plan: BenchPlan
    job: Job
    folder: Path
    images: str

    table = "bench"

    __repr__ = short_repr

    @property
    def name(self) -> str:
        return self.job.method

    @property
    def task(self) -> str:
        return self.job.task

    def describe(self) -> str:
        return self.job.describe()

    def identity(self) -> Mapping[str, Any]:
        return self.plan.identity(self.job)

    def head(self) -> Mapping[str, Any]:
        job = self.job
        return {
            "protocol": self.plan.protocol,
            "method": job.method,
            "task": job.task,
            "shots": job.shots,
            "seed": job.seed,
        }

    def make(self) -> BenchCell:
        return _measured(self)

    def failed(self, error: str) -> BenchCell:
        return BenchCell(**self.head(), error=error)

    def plain(self, cell: BenchCell) -> Mapping[str, Any]:
        return cell.model_dump(mode="json")

    def parsed(self, content: Any, place: str) -> BenchCell:
        return validate(BenchCell, content, place, CheckpointError)

    def outcome(self, cell: BenchCell) -> str:
        return ", ".join(f"{name} {share:.1%}" for name, share in cell.accuracy.items())

    def clear(self) -> None:
        with suppress(OSError):
            (self.folder / _STATE).unlink()


@checked()
def run_bench(
    plan: BenchPlan,
    folder: AnyPath,
    *,
    jobs: int = 1,
    observer: Observer | None = None,
    quiet: bool = False,
) -> list[BenchCell]:
    """Run all cells that are missing; return all in the order of the plan.

    A cell is kept as soon as it ends, and a training that is interrupted goes on. A failed cell is
    returned with its error, and the next call tries it again.

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
    ConfigError
        If a method is unknown, or a setting of it is not valid.
    BenchError
        If the classes of a task do not fit the protocol.
    OutputError
        If ``folder`` is in use by another bench, holds something else, or cannot be written.
    """
    with watched(observer, quiet=quiet) as watching:
        return _run_bench(plan, Path(folder), jobs, watching)


def _run_bench(plan: BenchPlan, folder: Path, jobs: int, observer: Observer) -> list[BenchCell]:
    # Errors that all cells of a task or of a method share are raised at once.
    for name in plan.methods:
        plan.method(name)
        strategy = plan.strategy(name)
        if strategy is not None:
            searched = plan.searched(name)
            searched.space_of(plan.space)
            check_supernet(strategy.name, strategy.search, searched)
    work = _work(plan, folder)
    with claimed_folder(folder, _Work.table, _PLAN, _is_plan):
        kept = kept_cells(work)
        write_json(folder / _PLAN, plan.model_dump(mode="json"))
        return make_cells(work, kept, Stage.BENCH, jobs=jobs, observer=observer)


def _work(plan: BenchPlan, folder: Path) -> list[_Work]:
    """All cells, with the digests of what they learn from; the images are known to be there."""
    tasks: dict[tuple[str, Classes], Task] = {}

    def task_of(name: str, classes: Classes) -> Task:
        key = name, classes
        if key not in tasks:
            tasks[key] = load_task(name, plan.data, classes)
        return tasks[key]

    if plan.protocol == "domain-generalization":
        source, *variants = (task_of(name, "all") for name in plan.tasks)
        for variant in variants:
            _check_variant(source, variant)
    digests: dict[tuple[str, int, int], str] = {}
    found = []
    for job in plan.jobs():
        key = job.task, job.shots, job.seed
        if key not in digests:
            problem = _problem(plan, job, task_of(job.task, job.classes))
            problem.check_images(problem.shot_rows)
            digests[key] = problem.digest()
        found.append(_Work(plan, job, folder / job.place, digests[key]))
    return found


def _check_variant(source: Task, variant: Task) -> None:
    """Raise an error if a variant has classes that the first task lacks."""
    lacks = [each for each in variant.class_names if each not in source.class_names]
    if lacks:
        raise BenchError(
            f"domain-generalization tests classes of {source.name} alone, and {variant.name} has "
            f"{tell_names(lacks)}: give its variants, or use cross-dataset"
        )


def _problem(plan: BenchPlan, job: Job, task: Task) -> Problem:
    # It needs torch, which is slow to import.
    from dpl_nas.training.problem import Problem

    return Problem(plan.space, task, job.shots, job.seed, plan.train, plan.device)


def _measured(work: _Work) -> BenchCell:
    from dpl_nas.engine import peak_bytes
    from dpl_nas.training.evaluation import score

    plan, job = work.plan, work.job
    make_folder(work.folder)
    learned_task = load_task(job.task, plan.data, job.classes)
    problem = _problem(plan, job, learned_task)
    began = time.perf_counter()
    method, found = _lengths(work, problem)
    settings = ""
    if plan.recipe == "tuned":
        settings, method = tuned(method, problem)
    learned = method.adapt(problem, state=work.folder / _STATE, quiet=True)
    seconds = time.perf_counter() - began
    accuracy: dict[str, float] = {}
    macro_f1: dict[str, float] = {}
    for test in job.tests:
        same = (test.task, test.classes) == (job.task, job.classes)
        task = learned_task if same else load_task(test.task, plan.data, test.classes)
        if not type(method).transfers and task.class_names != learned_task.class_names:
            continue
        scorer = learned.scorer(problem.backbone, task)
        metrics = score({"it": scorer}, task.test, problem.backbone)["it"]
        accuracy[test.name], macro_f1[test.name] = metrics.accuracy, metrics.macro_f1
    return BenchCell(
        **work.head(),
        accuracy=accuracy,
        macro_f1=macro_f1,
        lengths=found,
        settings=settings,
        parameters=learned.parameters,
        seconds=seconds,
        peak_bytes=peak_bytes(),
    )


def _lengths(work: _Work, problem: Problem) -> tuple[Method, Mapping[Tower, Sequence[int]]]:
    """The method of a cell, with lengths that were searched for it if a strategy is given."""
    plan, name = work.plan, work.job.method
    strategy = plan.strategy(name)
    if strategy is None:
        return plan.method(name), {}
    # NNI takes seconds to import.
    from dpl_nas.strategy import make_strategy

    searched = plan.searched(name)
    recipe = searched.recipe(plan.train, problem.shots, len(problem.shot_rows))
    space = searched.space_of(plan.space)
    result = make_strategy(strategy).search(
        problem.having(space=space, recipe=recipe, method=searched),
        plan.budget or strategy.budget,
        max_failed=strategy.max_failed,
        folder=work.folder / _SEARCH,
        quiet=True,
    )
    own = searched.method.model_copy(update={"lengths": lengths_of(result.architecture)})
    return own, result.architecture.lengths


def _is_plan(content: Any) -> bool:
    return isinstance(content, dict) and {"protocol", "tasks", "methods"} <= set(content)
