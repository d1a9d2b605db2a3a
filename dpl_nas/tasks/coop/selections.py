"""The public few-shot selections of 2SFS: ``split_fewshot/shot_4-seed_1_train.jsonl`` and ``_val``.

They are of CoOp's datasets, drawn once and published, so that nobody has to draw them again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpl_nas.errors import TaskError, shorten
from dpl_nas.io.json_values import parse_json
from dpl_nas.io.text import make_printable
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.tasks.coop.listing import Listed, read_text
from dpl_nas.tasks.names import tell_names

__all__ = ["FOLDER", "SELECTED", "TwoStageSelections"]

#: Folder of the selections in that of a dataset.
FOLDER = "split_fewshot"
#: What the names of tasks with these selections begin with.
SELECTED = "2sfs/"


@dataclass(frozen=True)
class TwoStageSelections:
    """Selections that files name.

    Attributes
    ----------
    folder
        Folder of the dataset.
    train, validation
        What the files choose from.
    """

    folder: Path
    train: Listed
    validation: Listed

    def read(self, shots: int, seed: int) -> tuple[list[int], list[int]]:
        """Return indices into the training images, and into the validation images.

        Raises
        ------
        TaskError
            If there is no file for these shots and this seed, or it is not of this dataset.
        """
        stem = self.folder / FOLDER / f"shot_{shots}-seed_{seed}"
        train = _rows(Path(f"{stem}_train.jsonl"), self.train)
        if not self.validation.places:
            return train, []
        return train, _rows(Path(f"{stem}_val.jsonl"), self.validation)


def _rows(file: Path, listed: Listed) -> list[int]:
    source = make_printable(str(file))
    known = {place: row for row, place in enumerate(listed.places)}
    rows = []
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if line.strip():
            where = f"line {number} of {source}"
            place, label = _item(line, where)
            row = _row(place.split("/"), known)
            if row is None or listed.labels[row] != label:
                raise TaskError(
                    f"{where}: expected an image of the dataset's split with its label, found "
                    f"{tell_names([place])} with {label}: restore the files"
                )
            rows.append(row)
    twice = [listed.places[row] for row, count in Counter(rows).items() if count > 1]
    if twice or not rows:
        found = f"{tell_names(twice)} twice" if twice else "none"
        raise TaskError(f"{source} should list images, each once, found {found}: restore the file")
    return rows


def _item(line: str, where: str) -> tuple[str, int]:
    try:
        item: Any = parse_json(line)
    except ValueError as error:
        raise TaskError(
            f"{where} is not readable JSON ({shorten(str(error))}): restore the file"
        ) from error
    if isinstance(item, dict):
        place, label = item.get("_impath"), item.get("_label")
        if isinstance(place, str) and type(label) is int:
            return place, label
    raise TaskError(
        f"{where} should have _impath, a path, and _label, a whole number, found "
        f"{abbreviate(item)}: restore the file"
    )


def _row(parts: Sequence[str], known: dict[str, int]) -> int | None:
    """The image at the end of a path, which begins with folders of another computer."""
    for start in range(len(parts)):
        row = known.get("/".join(parts[start:]))
        if row is not None:
            return row
    return None
