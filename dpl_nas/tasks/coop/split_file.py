"""Split files: JSON with ``[path, label, class name]`` of each image, by part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dpl_nas.errors import TaskError, shorten
from dpl_nas.io.json_values import parse_json
from dpl_nas.io.text import make_printable
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.tasks.coop.listing import Listed, Listing, names_by_label, tell_repeats
from dpl_nas.tasks.names import check_place
from dpl_nas.tasks.tables import read_text

__all__ = ["read_split"]

_PARTS = ("train", "val", "test")


def read_split(file: Path, images: Path) -> Listing:
    """Read a split file, whose paths are below ``images``.

    Raises
    ------
    TaskError
        If it is missing, damaged, or lists anything but images with labels and names.
    """
    source = make_printable(str(file))
    text = read_text(file)
    try:
        content = parse_json(text)
    except ValueError as error:
        raise TaskError(
            f"{source} is not a readable JSON file ({shorten(str(error))}): restore it"
        ) from error
    if not isinstance(content, dict) or not all(
        isinstance(content.get(part), list) for part in _PARTS
    ):
        raise TaskError(
            f"{source} should hold lists named train, val and test, found {abbreviate(content)}: "
            "restore the file"
        )
    items = {part: [_item(each, part, source) for each in content[part]] for part in _PARTS}
    every = [item for part in _PARTS for item in items[part]]
    names = names_by_label(((label, name) for _, label, name in every), source)
    if not names:
        raise TaskError(f"{source} lists no images: restore the file")
    order = {label: number for number, label in enumerate(names)}
    train, validation, test = (
        Listed(
            [place for place, _, _ in items[part]], [order[label] for _, label, _ in items[part]]
        )
        for part in _PARTS
    )
    notes = tell_repeats(source, (train, validation), test)
    return Listing(images, tuple(names.values()), train, validation, test, notes)


def _item(item: Any, part: str, source: str) -> tuple[str, int, str]:
    if isinstance(item, list) and len(item) == 3:
        place, label, name = item
        if isinstance(place, str) and type(label) is int and label >= 0 and isinstance(name, str):
            check_place(place, source)
            return place, label, name
    raise TaskError(
        f"{source}: {part} should list [path, label, class name], with a whole number for the "
        f"label, found {abbreviate(item)}: restore the file"
    )
