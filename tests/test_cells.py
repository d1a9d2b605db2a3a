"""Cells are made once, and kept; what is not theirs is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dpl_nas.cells import CellJob, kept_cells, make_cells
from dpl_nas.errors import CheckpointError, DplError, OutputError
from dpl_nas.io.files import write_json
from dpl_nas.observer import Observer
from dpl_nas.process.scheduler import Here


@dataclass(frozen=True)
class Square:
    side: int
    area: int = 0
    error: str | None = None


@dataclass(frozen=True)
class Draw(CellJob[Square]):
    """A square to be drawn; of a negative side it fails, unless its folder has a ``mended``."""

    side: int
    folder: Path
    images: str = "digest"
    colour: str = "red"

    table = "drawing"

    @property
    def name(self) -> str:
        return f"side {self.side}"

    @property
    def task(self) -> str:
        return "squares"

    def describe(self) -> str:
        return f"{self.name} of {self.task}"

    def identity(self) -> Mapping[str, Any]:
        return {"colour": self.colour}

    def head(self) -> Mapping[str, Any]:
        return {"side": self.side}

    def make(self) -> Square:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "half").write_text("half")
        if self.side == 0:
            raise DplError("nothing\nto draw")
        if self.side < 0 and not (self.folder / "mended").exists():
            raise ValueError("below zero")
        return Square(**self.head(), area=self.side**2)

    def failed(self, error: str) -> Square:
        return Square(**self.head(), error=error)

    def plain(self, cell: Square) -> Mapping[str, Any]:
        return dict(vars(cell))

    def parsed(self, content: Any, place: str) -> Square:
        try:
            return Square(**content)
        except TypeError as error:
            raise CheckpointError(f"{place}: {error}") from error

    def outcome(self, cell: Square) -> str:
        return f"{cell.area} in all"

    def metrics(self, cell: Square) -> Mapping[str, float]:
        return {"area": float(cell.area)}

    def clear(self) -> None:
        (self.folder / "half").unlink()


class Told(Observer):
    def __init__(self) -> None:
        self.lines: list[Any] = []

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        self.lines.append((stage, done, total))

    def advance(
        self, stage: str, done: int, metrics: Mapping[str, float], status: str = ""
    ) -> None:
        assert stage == "draw"
        self.lines.append((done, dict(metrics), status))


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells are made in this process; tests of comparisons make them in others."""
    monkeypatch.setattr("dpl_nas.cells.Processes", lambda jobs, work, once: Here(work))


def test_cells_are_made_once_and_failures_again(tmp_path: Path) -> None:
    work = [Draw(side, tmp_path / str(side)) for side in (3, -2, 0, 4)]
    told: list[list[int]] = []
    observer = Told()

    def note(cells: Any) -> None:
        told.append([cell.side for cell in cells])

    first = make_cells(work, kept_cells(work), "draw", jobs=1, observer=observer, told=note)
    assert [cell.area for cell in first] == [9, 0, 0, 16]
    assert [cell.error for cell in first] == [
        None,
        "ValueError: below zero",
        "nothing to draw",
        None,
    ]
    assert told == [[], [3], [3, -2], [3, -2, 0], [3, -2, 0, 4]]
    assert observer.lines == [
        ("draw", 0, 4),
        (1, {"area": 9.0}, "side 3 of squares: 9 in all"),
        (2, {}, "side -2 of squares: ValueError: below zero"),
        (3, {}, "side 0 of squares: nothing to draw"),
        (4, {"area": 16.0}, "side 4 of squares: 16 in all"),
    ]
    # A cell that failed keeps what it can go on from.
    assert [(job.folder / "half").exists() for job in work] == [False, True, True, False]
    (tmp_path / "-2" / "mended").touch()
    kept = kept_cells(work)
    assert kept == {0: first[0], 3: first[3]}
    again = make_cells(work, kept, "draw", jobs=2, observer=Observer())
    assert [cell.area for cell in again] == [9, 4, 0, 16]
    assert [again[0], again[3]] == [first[0], first[3]]


def test_what_was_kept_of_something_else_is_told(tmp_path: Path) -> None:
    job = Draw(3, tmp_path / "3")
    (made,) = make_cells([job], {}, "draw", jobs=1, observer=Observer())
    assert job.kept() == made
    with pytest.raises(OutputError, match="holds side 3 with other settings: use another folder"):
        Draw(3, tmp_path / "3", colour="blue").kept()
    with pytest.raises(OutputError, match="the images of task squares have changed since side 3"):
        Draw(3, tmp_path / "3", "other").kept()
    with pytest.raises(CheckpointError, match="belongs to another cell: remove it to run"):
        Draw(5, tmp_path / "3").kept()
    file = tmp_path / "3" / "cell.json"
    write_json(file, {"config": {}})
    with pytest.raises(CheckpointError, match="is not a cell of a drawing: remove it to run"):
        job.kept()
    file.write_text("{")
    with pytest.raises(CheckpointError):
        kept_cells([job])
