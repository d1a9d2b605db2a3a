"""Cells: results that are made in processes and folders of their own, and kept once made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from dpl_nas.errors import CheckpointError, DplError, OutputError
from dpl_nas.io.files import read_sealed, write_json
from dpl_nas.observer import Observer
from dpl_nas.process.scheduler import LostJobError, Processes, Workers, run_jobs

__all__ = ["CellJob", "kept_cells", "make_cells"]

_FILE = "cell.json"
_REMEDY = "remove it to run the cell again"


class _Result(Protocol):
    @property
    def error(self) -> str | None:
        """What went wrong, if it failed."""


CellT = TypeVar("CellT", bound=_Result)


class CellJob(ABC, Generic[CellT]):
    """A cell to make. It is picklable, as another process makes it.

    Attributes
    ----------
    table
        What the cell is a part of, for messages: ``comparison``.
    folder
        Where it is kept, beside what an interrupted one goes on from.
    images
        Digest of the images that it learns from.
    """

    table: ClassVar[str]
    folder: Path
    images: str

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of what is run."""

    @property
    @abstractmethod
    def task(self) -> str:
        """The name of the task that is learned from."""

    @abstractmethod
    def describe(self) -> str:
        """Return what is run, on what, in words."""

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """Return all settings that decide the result, as plain values."""

    @abstractmethod
    def head(self) -> Mapping[str, Any]:
        """Return the fields of the cell that are known before it is made."""

    @abstractmethod
    def make(self) -> CellT:
        """Make the cell, or go on with it."""

    @abstractmethod
    def failed(self, error: str) -> CellT:
        """Return the cell of a job that failed."""

    @abstractmethod
    def plain(self, cell: CellT) -> Mapping[str, Any]:
        """Return a cell as plain values."""

    @abstractmethod
    def parsed(self, content: Any, place: str) -> CellT:
        """Make a cell from its plain values.

        Raises
        ------
        CheckpointError
            If they are not those of a cell; the message begins with ``place``.
        """

    @abstractmethod
    def outcome(self, cell: CellT) -> str:
        """Return the result of a cell that did not fail, in words."""

    def metrics(self, cell: CellT) -> Mapping[str, float]:
        """Return what observers are told of a cell."""
        del cell
        return {}

    def clear(self) -> None:
        """Remove what only an interrupted cell needs."""

    def kept(self) -> CellT | None:
        """Return the cell if it was made before, with the same settings and images.

        Raises
        ------
        CheckpointError
            If its file is damaged, or belongs to another cell.
        OutputError
            If it was made with other settings or images.
        """
        file = self.folder / _FILE
        if not file.exists():
            return None
        content = read_sealed(file, _REMEDY)
        if set(content) != {"config", "images", "cell"}:
            raise CheckpointError(f"{file} is not a cell of a {self.table}: {_REMEDY}")
        if content["config"] != self.identity():
            raise OutputError(
                f"{self.folder} holds {self.name} with other settings: use another folder"
            )
        if content["images"] != self.images:
            raise OutputError(
                f"the images of task {self.task} have changed since {self.name} ran in "
                f"{self.folder}: restore the images, or use another folder"
            )
        cell = self.parsed(content["cell"], str(file))
        if any(getattr(cell, name) != value for name, value in self.head().items()):
            raise CheckpointError(f"{file} belongs to another cell: {_REMEDY}")
        return cell

    def keep(self, cell: CellT) -> None:
        """Write the cell into its folder."""
        content = {"config": self.identity(), "images": self.images, "cell": self.plain(cell)}
        write_json(self.folder / _FILE, content)
        self.clear()


def kept_cells(work: Sequence[CellJob[CellT]]) -> dict[int, CellT]:
    """Return the cells that were made before, by their place in ``work``.

    Raises
    ------
    CheckpointError
        If one is damaged.
    OutputError
        If one was made with other settings or images.
    """
    found = {index: job.kept() for index, job in enumerate(work)}
    return {index: cell for index, cell in found.items() if cell is not None}


def make_cells(
    work: Sequence[CellJob[CellT]],
    kept: Mapping[int, CellT],
    stage: str,
    *,
    jobs: int,
    observer: Observer,
    told: Callable[[Sequence[CellT]], None] = lambda _: None,
) -> list[CellT]:
    """Make all cells that are missing; return all, in the order of ``work``.

    Every cell has its own process, and so its own memory. A cell is kept as soon as it ends. A
    failed one is returned with its error, and the next call tries it again.

    Parameters
    ----------
    kept
        The cells that are there, by their place in ``work``.
    stage
        The stage that observers are told of.
    jobs
        Number of cells side by side, each with its share of the cores.
    told
        Function that is called with all cells so far: at the beginning, and after each.
    """
    found = dict(kept)
    told([found[index] for index in sorted(found)])
    observer.begin(stage, len(work), len(found))
    missing = {id(job): index for index, job in enumerate(work) if index not in found}
    workers: Workers[CellJob[CellT], CellT] = Processes(jobs, _made, once=True)
    with closing(workers):
        for job, pending in run_jobs(workers, [work[index] for index in missing.values()]):
            try:
                cell: CellT = pending.result()
            except LostJobError as error:
                cell = _failed(job, str(error))
            found[missing[id(job)]] = cell
            told([found[index] for index in sorted(found)])
            ended = cell.error or job.outcome(cell)
            metrics = {} if cell.error else job.metrics(cell)
            observer.advance(stage, len(found), metrics, f"{job.describe()}: {ended}")
    observer.end(stage)
    return [found[index] for index in range(len(work))]


def _made(job: CellJob[CellT]) -> CellT:
    """Make a cell and keep it, in its own process."""
    try:
        cell = job.make()
    except DplError as error:
        return _failed(job, str(error))
    except Exception as error:  # noqa: BLE001 - the other cells go on
        return _failed(job, f"{type(error).__name__}: {error}")
    job.keep(cell)
    return cell


def _failed(job: CellJob[CellT], error: str) -> CellT:
    return job.failed(" ".join(error.split()))
