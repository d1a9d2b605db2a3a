"""Runs every strategy on every task, space and seed, each as a run folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpl_nas.comparison.cell import Cell, unique, write_cells
from dpl_nas.config import RunConfig
from dpl_nas.errors import CheckpointError, ComparisonError, DplError, OutputError
from dpl_nas.io import run_files
from dpl_nas.io.files import names_in, read_json, read_record, write_json
from dpl_nas.io.locks import claimed
from dpl_nas.observer import Observer
from dpl_nas.process.pools import Pool
from dpl_nas.tasks import few_shot_split, load_task

__all__ = ["STAGE", "Plan", "run_cells"]

#: What observers are told.
STAGE = "compare"

_ZERO_SHOT = "zero-shot"
_PLAN = "plan.json"


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes
    ----------
    configs
        Runs of strategies; the names of the strategies tell them apart.
    uniform_length
        Of the manual design that stands beside them, whatever the limits of the space.
    baseline
        What all others will be compared with, if anything; known before hours of work.

    Raises
    ------
    ComparisonError
        If cells could not be told apart, or there is no such baseline.
    """

    configs: tuple[RunConfig, ...]
    uniform_length: int = 4
    baseline: str | None = None

    @property
    def references(self) -> tuple[str, str]:
        """What stands beside the strategies."""
        return _ZERO_SHOT, f"{self.uniform_length} everywhere"

    def __post_init__(self) -> None:
        strategies = unique(config.strategy.name for config in self.configs)
        taken = sorted(set(strategies) & set(self.references))
        if taken:
            raise ComparisonError(
                f"a strategy is called {taken[0]}, as what stands beside all of them: rename it"
            )
        known = (*strategies, *self.references)
        if self.baseline is not None and self.baseline not in known:
            raise ComparisonError(
                f"the baseline {self.baseline} is not among what is compared: choose one of "
                f"{', '.join(known)}"
            )
        places = [_place(config) for config in self.configs]
        twice = sorted({str(place) for place in places if places.count(place) > 1})
        if twice:
            raise ComparisonError(
                f"{twice[0]} is asked for twice: give strategies, spaces, tasks and seeds once, "
                "under different names"
            )


@dataclass(frozen=True)
class _Job:
    """One cell. A reference is what stands beside the strategies of ``config``."""

    config: RunConfig
    folder: Path
    reference: str | None = None

    @property
    def name(self) -> str:
        return self.reference or self.config.strategy.name

    def describe(self) -> str:
        config = self.config
        return f"{self.name} on {config.task}, {config.space.name}, seed {config.seed}"


def run_cells(
    plan: Plan, folder: Path, *, jobs: int = 1, observer: Observer | None = None
) -> list[Cell]:
    """Run all cells that are not there yet; return all, in the order of the plan.

    Every cell is a process of its own, so that memory is its own, too. Each is kept as soon as
    it ends, and one that was interrupted goes on. A cell that fails is a cell with an error; it
    is tried again by the next call.

    Parameters
    ----------
    jobs
        Cells side by side, each with its share of the cores.

    Raises
    ------
    TaskError
        If a task cannot be found, or has too few images.
    OutputError
        If ``folder`` is in use by another comparison, or cannot be written.
    """
    for config in plan.configs:
        # What is wrong with all cells of a task is told at once.
        search = config.strategy.search
        few_shot_split(
            load_task(config.task),
            config.shots,
            config.seed,
            search.validation,
            search.validation_shots,
        )
    observer = observer or Observer()
    work = _jobs(plan, folder)
    with _claimed(folder):
        found: dict[int, Cell] = {}
        for index, job in enumerate(work):
            kept = _kept(job)
            if kept is not None:
                found[index] = kept
        observer.begin(STAGE, len(work), len(found))
        write_json(folder / _PLAN, [config.model_dump(mode="json") for config in plan.configs])

        def save() -> None:
            write_cells(folder / "cells.json", [found[i] for i in sorted(found)])

        def keep(index: int, cell: Cell) -> None:
            found[index] = cell
            save()
            accuracy = {} if cell.test_accuracy is None else {"test_accuracy": cell.test_accuracy}
            observer.advance(STAGE, len(found), accuracy, _status(work[index], cell))

        # Also where nothing is left to run: somebody may have removed the file.
        save()
        _run([(i, job) for i, job in enumerate(work) if i not in found], jobs, keep)
        observer.end(STAGE)
    return [found[index] for index in range(len(work))]


def _jobs(plan: Plan, folder: Path) -> list[_Job]:
    jobs = [_Job(config, folder / "runs" / _place(config)) for config in plan.configs]
    blocks: dict[Path, RunConfig] = {}
    for config in plan.configs:
        blocks.setdefault(_place(config).parent.parent / f"seed-{config.seed}", config)
    for config in blocks.values():
        for name in plan.references:
            place = _place(config, name)
            jobs.append(_Job(config, folder / "references" / place, name))
    return jobs


def _place(config: RunConfig, name: str | None = None) -> Path:
    task = config.task.strip("/").replace("/", "_").replace("\\", "_")
    return (
        Path(_safe(config.space.name))
        / f"{_safe(task)}-{config.shots}-shots"
        / _safe(name or config.strategy.name)
        / f"seed-{config.seed}"
    )


def _safe(name: str) -> str:
    """A name of a folder."""
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
    return kept.strip(".") or "_"


def _kept(job: _Job) -> Cell | None:
    """The cell, if it was run before with the same configuration."""
    file = job.folder / "cell.json"
    if not file.exists():
        return None
    content = read_record(file, "remove it to run the cell again")
    if set(content) != {"config", "cell"}:
        raise CheckpointError(f"{file} is not a cell of a comparison: remove it to run it again")
    if content["config"] != _identity(job):
        raise OutputError(
            f"{job.folder} holds {job.name} with other settings: compare in another folder"
        )
    try:
        cell = Cell.from_json(content["cell"])
    except ComparisonError as error:
        raise CheckpointError(f"{file}: {error}; remove it to run it again") from error
    if {name: getattr(cell, name) for name in _head(job)} != _head(job):
        raise CheckpointError(f"{file} is of another cell: remove it to run it again")
    return cell


def _identity(job: _Job) -> dict[str, Any]:
    config = job.config.model_dump(mode="json")
    if job.reference:
        # References know nothing of how strategies search.
        config["strategy"] = {"train": config["strategy"]["train"]}
        config.pop("budget")
    config.pop("jobs")
    return config


def _run(work: Sequence[tuple[int, _Job]], jobs: int, keep: Callable[[int, Cell], None]) -> None:
    waiting = list(work)
    broken: list[tuple[int, _Job]] = []
    running: dict[Future[Cell], tuple[int, _Job]] = {}
    pool = Pool(jobs, once=True)
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                item = waiting.pop(0)
                try:
                    running[pool.submit(_cell, item[1])] = item
                except BrokenProcessPool:
                    waiting.insert(0, item)
                    pool.abandon()
                    pool = Pool(jobs, once=True)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                index, job = running.pop(future)
                try:
                    keep(index, future.result())
                except BrokenProcessPool:
                    # The pool ends all of its processes with the one that was killed.
                    broken.append((index, job))
    finally:
        # Cells that are interrupted go on with the next call.
        pool.abandon()
    for index, job in broken:
        # Once more, and alone.
        with Pool(1, once=True) as own:
            try:
                keep(index, own.submit(_cell, job).result())
            except BrokenProcessPool:
                keep(index, _failed(job, "its process ended without a result"))


def _cell(job: _Job) -> Cell:
    """Run a cell and keep it, in its own process."""
    try:
        cell = _reference(job) if job.reference else _strategy(job)
    except DplError as error:
        return _failed(job, str(error))
    except Exception as error:  # noqa: BLE001 - the other cells go on
        return _failed(job, f"{type(error).__name__}: {error}")
    write_json(job.folder / "cell.json", {"config": _identity(job), "cell": cell.to_json()})
    return cell


def _strategy(job: _Job) -> Cell:
    from dpl_nas.runs import run

    folder = job.folder / "run"
    result = run(job.config, folder, resume=folder.exists(), baselines=False)
    search = result["search"]
    remedy = f"remove {folder} to run the cell again"
    peak = read_record(folder / run_files.SEARCH, remedy).get("peak_bytes")
    trials = folder / run_files.EVALUATIONS
    curve = read_record(trials, remedy)["curve"] if trials.exists() else []
    if not curve and search["validation_accuracy"] is not None:
        curve = [(search["steps"], result["seconds"]["search"], search["validation_accuracy"])]
    return Cell(
        **_head(job),
        lengths=result["lengths"],
        vectors=result["vectors"],
        test_accuracy=result["test"]["found"]["accuracy"],
        test_macro_f1=result["test"]["found"]["macro_f1"],
        validation_accuracy=search["validation_accuracy"],
        steps=search["steps"],
        images=search["images"],
        seconds=result["seconds"]["search"],
        peak_bytes=peak,
        mean_entropy=search.get("mean_entropy"),
        evaluations=search["evaluations"],
        failures=search["failures"],
        stopped_by=search["stopped_by"],
        curve=curve,
    )


def _reference(job: _Job) -> Cell:
    from dpl_nas.backbone import load_backbone
    from dpl_nas.training import train
    from dpl_nas.training.evaluate import prompted, score, zero_shot

    config = job.config
    task, backbone = load_task(config.task), load_backbone(config.space.backbone, config.device)
    # Also where the space has limits: the references show what it costs.
    space = config.space.model_copy(update={"max_context_vectors": None, "max_flops": None})
    if job.reference == _ZERO_SHOT:
        lengths = {str(tower): [0] * len(part.layers) for tower, part in space.towers.items()}
        classifier = zero_shot(task, backbone)
    else:
        design = space.uniform(int(job.name.split()[0]))
        lengths = {str(tower): list(part) for tower, part in design.lengths.items()}
        prompts = train(
            design,
            space,
            task,
            shots=config.shots,
            seed=config.seed,
            settings=config.strategy.train,
            backbone=backbone,
        )
        classifier = prompted(prompts, backbone)
    metrics = score({"it": classifier}, task.test, len(task.class_names))["it"]
    return Cell(
        **_head(job),
        lengths=lengths,
        vectors=sum(map(sum, lengths.values())),
        test_accuracy=metrics.accuracy,
        test_macro_f1=metrics.macro_f1,
    )


def _head(job: _Job) -> dict[str, Any]:
    config = job.config
    return {
        "task": config.task,
        "space": config.space.name,
        "strategy": job.name,
        "seed": config.seed,
        "shots": config.shots,
        "reference": job.reference is not None,
    }


def _failed(job: _Job, error: str) -> Cell:
    towers = job.config.space.towers
    lengths = {str(tower): [0] * len(part.layers) for tower, part in towers.items()}
    return Cell(
        **_head(job),
        lengths=lengths,
        vectors=0,
        test_accuracy=None,
        test_macro_f1=None,
        error=" ".join(error.split()),
    )


def _status(job: _Job, cell: Cell) -> str:
    result = cell.error or f"{cell.test_accuracy:.1%} with {cell.vectors} vectors"
    return f"{job.describe()}: {result}"


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    try:
        _check_own(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from error
    with claimed(
        folder / run_files.LOCK,
        f"{folder} is in use by a comparison that is still going: wait, or use another folder",
    ):
        yield


def _check_own(folder: Path) -> None:
    """Complain if there is anything in ``folder`` that is no comparison's."""
    if not folder.is_dir() or not names_in(folder) - {run_files.LOCK}:
        return
    with suppress(CheckpointError):
        plan = read_json(folder / _PLAN)
        if isinstance(plan, list) and all(
            isinstance(each, dict) and {"task", "space", "strategy"} <= set(each) for each in plan
        ):
            return
    raise OutputError(
        f"{folder} is not empty and holds no comparison, whose {_PLAN} would say what it is of: "
        "use another folder"
    )
