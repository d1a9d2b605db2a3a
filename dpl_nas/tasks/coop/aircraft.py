"""The text files of FGVC-Aircraft: the names of all variants, and each image with its variant."""

from __future__ import annotations

from pathlib import Path

from dpl_nas.errors import TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.coop.listing import Listed, Listing, tell_repeats, text_lines
from dpl_nas.tasks.names import check_class_name, check_place, spaced, tell_names
from dpl_nas.tasks.tables import read_text

__all__ = ["read_aircraft"]


def read_aircraft(variants: Path, images: Path) -> Listing:
    """Read the names in ``variants``, and the lists beside it of the images in ``images``.

    Raises
    ------
    TaskError
        If a file is missing or damaged, or names a variant that is not in ``variants``.
    """
    folder = variants.parent
    source = make_printable(str(variants))
    names = [line.strip() for line in read_text(variants).split("\n") if line.strip()]
    for name in names:
        check_class_name(spaced(name), source)
    labels = {name: label for label, name in enumerate(names)}
    if not names or len(labels) < len(names):
        twice = [name for name in labels if names.count(name) > 1]
        raise TaskError(
            f"{source} should list each variant once, found "
            f"{tell_names(twice) + ' twice' if twice else 'none'}: restore the file"
        )
    train, validation, test = (
        _part(folder / f"images_variant_{part}.txt", labels) for part in ("train", "val", "test")
    )
    notes = tell_repeats(make_printable(str(folder)), (train, validation), test)
    return Listing(images, tuple(names), train, validation, test, notes)


def _part(file: Path, labels: dict[str, int]) -> Listed:
    listed = Listed()
    for where, number, variant in text_lines(file):
        place = f"{number}.jpg"
        check_place(place, where)
        if variant not in labels:
            raise TaskError(
                f"{where}: expected a variant of variants.txt, found {tell_names([variant])}: "
                "restore the files"
            )
        listed.add(place, labels[variant])
    return listed
