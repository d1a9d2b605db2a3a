"""What the files of a dataset list: images with labels, and names of classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dpl_nas.errors import TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.tasks.names import check_class_name, spaced, tell_names
from dpl_nas.tasks.tables import read_text

__all__ = ["Listed", "Listing", "names_by_label", "tell_repeats", "text_lines"]


@dataclass
class Listed:
    """Images of one part of a dataset: their paths below its folder of images, and labels."""

    places: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)

    def add(self, place: str, label: int) -> None:
        """Add an image."""
        self.places.append(place)
        self.labels.append(label)

    @property
    def twice(self) -> list[str]:
        """Paths that are there more than once."""
        if len(set(self.places)) == len(self.places):
            return []
        return [place for place, count in Counter(self.places).items() if count > 1]


@dataclass(frozen=True)
class Listing:
    """All of a dataset.

    Attributes
    ----------
    images
        Folder that the paths are below.
    class_names
        One name per label.
    notes
        Sentences on what a reader should know.
    """

    images: Path
    class_names: tuple[str, ...]
    train: Listed
    validation: Listed
    test: Listed
    notes: tuple[str, ...] = ()


def text_lines(file: Path) -> list[tuple[str, str, str]]:
    """Return, of each line that is not blank, its place, its first word, and the rest.

    Raises
    ------
    TaskError
        If the file cannot be read, or a line has one word only.
    """
    found = []
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        first, _, rest = line.strip().partition(" ")
        where = f"line {number} of {make_printable(str(file))}"
        if first:
            if not rest.strip():
                raise TaskError(
                    f"{where}: expected two words or more, found {abbreviate(line)}: restore the "
                    "file"
                )
            found.append((where, first, rest.strip()))
    return found


def names_by_label(found: Iterable[tuple[int, str]], source: str) -> dict[int, str]:
    """Return the name of each label, in the order of the labels.

    Raises
    ------
    TaskError
        If a label has two names, or a name is no text.
    """
    names: dict[int, str] = {}
    for label, name in dict.fromkeys(found):
        check_class_name(spaced(name), source)
        if names.setdefault(label, name) != name:
            raise TaskError(
                f"{source}: label {label} has two names, {tell_names((names[label], name))}: "
                "restore the file"
            )
    return dict(sorted(names.items()))


def tell_repeats(source: str, parts: Sequence[Listed], test: Listed) -> tuple[str, ...]:
    """Return notes on images that are listed twice."""
    notes = []
    twice = [place for part in (*parts, test) for place in part.twice]
    if twice:
        notes.append(f"{source} lists {len(twice)} images twice: {tell_names(twice)}")
    learned = {place for part in parts for place in part.places}
    shared = [place for place in test.places if place in learned]
    if shared:
        notes.append(
            f"{source} lists {len(shared)} images for training and for the test: "
            f"{tell_names(shared)}"
        )
    return tuple(notes)
