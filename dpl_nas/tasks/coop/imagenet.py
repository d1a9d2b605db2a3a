"""ImageNet and its variants: a folder a class, and ``classnames.txt`` with their names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dpl_nas.errors import TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.coop.listing import Listed, Listing, text_lines
from dpl_nas.tasks.names import check_class_name, check_text, spaced, tell_names
from dpl_nas.tasks.pictures import has_picture_name, is_picture

__all__ = ["read_imagenet", "read_numbered", "read_variant"]

#: Files beside the classes of ImageNet-A and ImageNet-R.
_KNOWN = {"README.txt"}


def read_imagenet(names: Path, images: Path) -> Listing:
    """Read ImageNet: ``train/`` and ``val/`` in ``images``, of which ``val/`` is the test set.

    Raises
    ------
    TaskError
        If a folder or the names are missing or damaged.
    """
    known = _names(names)
    parts = {part: _folders(images / part) for part in ("train", "val")}
    folders = sorted({*parts["train"], *parts["val"]})
    class_names = _named(folders, known, names)
    others: list[str] = []
    train, test = (
        _listed(
            images,
            [(f"{part}/{name}", label) for label, name in enumerate(folders) if name in found],
            others,
        )
        for part, found in parts.items()
    )
    return Listing(images, class_names, train, Listed(), test, _notes(images, others))


def read_variant(names: Path, images: Path) -> Listing:
    """Read a test set with a folder a class, named by WordNet's number.

    Raises
    ------
    TaskError
        If a folder or the names are missing or damaged.
    """
    folders = _folders(images)
    class_names = _named(folders, _names(names), names)
    others: list[str] = []
    places = [(name, label) for label, name in enumerate(folders)]
    test = _listed(images, places, others)
    return Listing(images, class_names, Listed(), Listed(), test, _notes(images, others))


def read_numbered(names: Path, images: Path) -> Listing:
    """Read a test set with a folder a class, named by the line of the class, from 0.

    Raises
    ------
    TaskError
        If a folder or the names are missing or damaged.
    """
    known = list(_names(names).values())
    numbers = {str(number) for number in range(len(known))}
    folders = _folders(images)
    odd = [name for name in folders if name not in numbers]
    if odd:
        raise TaskError(
            f"{make_printable(str(images))} should hold folders 0 to {len(known) - 1}, as "
            f"{names.name} has {len(known)} lines, found {tell_names(odd)}: remove or rename it"
        )
    others: list[str] = []
    places = [(name, int(name)) for name in sorted(folders, key=int)]
    test = _listed(images, places, others)
    return Listing(images, tuple(known), Listed(), Listed(), test, _notes(images, others))


def _names(file: Path) -> dict[str, str]:
    """Names of classes by folder, in the order of the file."""
    names: dict[str, str] = {}
    for where, folder, name in text_lines(file):
        check_class_name(spaced(name), where)
        if folder in names:
            raise TaskError(f"{where}: {tell_names([folder])} has a line already: restore the file")
        names[folder] = name
    if not names:
        raise TaskError(f"{make_printable(str(file))} names no classes: restore the file")
    return names


def _named(folders: Sequence[str], known: dict[str, str], file: Path) -> tuple[str, ...]:
    odd = [folder for folder in folders if folder not in known]
    if odd:
        raise TaskError(
            f"{make_printable(str(file))} has no names for the folders {tell_names(odd)}: restore "
            "the file, or remove the folders"
        )
    return tuple(known[folder] for folder in folders)


def _folders(root: Path) -> list[str]:
    """Names of the folders of classes, sorted."""
    try:
        with os.scandir(root) as entries:
            found = sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.name not in _KNOWN and entry.is_dir()
            )
    except OSError as error:
        raise _unread(root, error) from error
    for name in found:
        check_text(name, f"the name of a folder in {make_printable(str(root))}")
    if not found:
        raise TaskError(
            f"{make_printable(str(root))} should hold a folder for each class, found none: put the "
            "images into such folders"
        )
    return found


def _listed(root: Path, folders: Sequence[tuple[str, int]], others: list[str]) -> Listed:
    """The images of all folders, sorted by name; what is no image is added to ``others``."""
    listed = Listed()
    for folder, label in folders:
        place = root / folder
        try:
            # A million files: nothing is asked of each.
            names = sorted(os.listdir(place))  # noqa: PTH208
        except OSError as error:
            raise _unread(place, error) from error
        for name in names:
            if name[0] == ".":
                continue
            path = f"{folder}/{name}"
            if has_picture_name(name) or _is_picture(root / path):
                if not name.isprintable():
                    check_text(name, f"the name of a file in {make_printable(str(place))}")
                listed.add(path, label)
            else:
                others.append(path)
    return listed


def _is_picture(path: Path) -> bool:
    return is_picture(str(path), regular=path.is_file())


def _notes(images: Path, others: Sequence[str]) -> tuple[str, ...]:
    if not others:
        return ()
    note = (
        f"{make_printable(str(images))}: {len(others)} files are no images that can be read, and "
        f"left aside: {tell_names(others)}"
    )
    return (note,)


def _unread(folder: Path, error: OSError) -> TaskError:
    return TaskError(f"cannot read the folder {make_printable(str(folder))}: {error.strerror}")
