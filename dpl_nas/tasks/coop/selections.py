"""The public few-shot selections of 2SFS: ``split_fewshot/shot_4-seed_1_train.jsonl`` and ``_val``.

They are of CoOp's datasets, drawn once and published, so that nobody has to draw them again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dpl_nas.errors import TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.coop.listing import Listed
from dpl_nas.tasks.names import tell_names
from dpl_nas.tasks.tables import read_table

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
    if not file.exists():
        raise TaskError(
            f"there is no {source}: add the files of 2SFS, ask for shots and a seed that they "
            "have, or use coop/<dataset>, which draws the selection"
        )
    known = {place: row for row, place in enumerate(listed.places)}
    rows = []
    for line in read_table(file, ("_impath", "_label")):
        place, label = line.values["_impath"], line.values["_label"]
        row = _row(place.split("/"), known)
        if row is None or str(listed.labels[row]) != label:
            raise TaskError(
                f"{line.where}: expected an image of the dataset's split with its label, found "
                f"{tell_names([place])} with {tell_names([label])}: restore the files"
            )
        rows.append(row)
    twice = [listed.places[row] for row, count in Counter(rows).items() if count > 1]
    if twice:
        raise TaskError(
            f"{source} should list images once each, found {tell_names(twice)} twice: restore the "
            "file"
        )
    return rows


def _row(parts: Sequence[str], known: dict[str, int]) -> int | None:
    """The image at the end of a path, which begins with folders of another computer."""
    for start in range(len(parts)):
        row = known.get("/".join(parts[start:]))
        if row is not None:
            return row
    return None
