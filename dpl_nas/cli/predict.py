"""``dpl-nas predict``: what a classifier says of pictures."""

from __future__ import annotations

import glob
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpl_nas.cli.options import (
    ClassifierArgument,
    DeviceOption,
    JsonOption,
    QuietOption,
    parse_path,
)
from dpl_nas.cli.session import job, print_json
from dpl_nas.errors import ConfigError, OutputError, TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.observer import Stage

if TYPE_CHECKING:
    from dpl_nas.classifier.pictures import Unread
    from dpl_nas.classifier.predictions import Prediction
    from dpl_nas.classifier.saved import SavedClassifier

__all__ = ["predict"]

#: Names of stdout.
_STDOUT = {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}


def predict(
    classifier: ClassifierArgument,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES...",
            help="Files, folders, patterns such as '*.png', or - for a list on stdin.",
        ),
    ],
    csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a table, too; - writes it to stdout instead of the lines.",
            parser=parse_path,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file of --csv if it exists.")
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="Number of labels to show a picture.")] = 1,
    unknown: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.99,
            help="Answer unknown to so large a share of pictures like those learned from, and to "
            "what is less likely than these.",
        ),
    ] = 0.0,
    batch_size: Annotated[int, typer.Option(help="Number of images in a batch.", min=1)] = 100,
    device: DeviceOption = "cpu",
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Classify pictures, in their order; one that cannot be read is a line with the reason.

    The exit code is 0 only if all were read, else 1.
    """
    instead = csv is not None and str(csv) in _STDOUT
    file = None if instead else csv
    if instead and json:
        raise ConfigError("--json and --csv would both write to stdout: give --csv a file")
    with job(quiet=quiet) as observer:
        from dpl_nas.classifier.pictures import Pictures
        from dpl_nas.classifier.predictions import predict_each, predictions_csv
        from dpl_nas.classifier.saved import SavedClassifier
        from dpl_nas.io.files import write_through

        saved = SavedClassifier.load(classifier)
        meta = saved.metadata
        paths = list(_paths(images))
        if not paths:
            raise TaskError(f"found no pictures in {', '.join(images)}: give files or folders")
        if file is not None:
            _check_table(file, [*map(str, paths), *map(str, classifier.iterdir())], overwrite)
        threshold = _threshold(saved, unknown)
        pictures = Pictures(paths, meta.background)
        built = saved.classifier(saved.load_backbone(device))
        found: list[Prediction] = []
        observer.begin(Stage.PREDICT, len(paths))
        for each in predict_each(
            built, meta.labels, pictures, threshold=threshold, batch_size=batch_size
        ):
            found.append(each)
            observer.advance(Stage.PREDICT, len(found), {})
        observer.end(Stage.PREDICT)
        # Names that are no UTF-8 are written as the bytes that they are.
        table = predictions_csv(meta, found).encode("utf-8", "surrogateescape") if csv else b""
    if file is not None:
        write_through(file, table)
    unread = sum(each.error is not None for each in found)
    if json:
        print_json(
            {
                "labels": list(meta.labels),
                "predictions": [_plain(each, meta.labels, top) for each in found],
                "read": len(found) - unread,
                "unread": unread,
            }
        )
    elif instead:
        _write(table)
    else:
        # Not by rich, which makes blanks of tabs.
        sys.stdout.writelines(_line(each, meta.labels, top) + "\n" for each in found)
    if unread:
        sys.stderr.write(f"{unread} of {len(found)} pictures could not be read\n")
        raise typer.Exit(1)


def _paths(images: Sequence[str]) -> Iterator[str | Path | Unread]:
    """The files that are meant, in order."""
    from dpl_nas.classifier.pictures import list_pictures, path_is_folder
    from dpl_nas.io.home import expand_home

    for each in images:
        if each == "-":
            yield from _listed()
            continue
        path = expand_home(each)
        matched = [path]
        if not os.path.lexists(path):
            matched = sorted(glob.glob(path, recursive=True)) or [path]  # noqa: PTH207 - absolute patterns
        for one in matched:
            if path_is_folder(Path(one)):
                yield from list_pictures(Path(one))
            else:
                yield one


def _listed() -> list[str]:
    """The files that are listed on stdin, a line each."""
    advice = "give a list of files there, or files and folders instead of -"
    if sys.stdin is None:
        raise ConfigError(f"- stands for a list on stdin, which is closed: {advice}")
    try:
        # Under test there are only texts.
        raw = getattr(sys.stdin, "buffer", None)
        # Bytes that are no text may be part of a name.
        text = sys.stdin.read() if raw is None else os.fsdecode(raw.read())
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the list on stdin ({error}): {advice}") from None
    return [name for line in text.split("\n") if (name := line.rstrip("\r"))]


def _check_table(csv: Path, inputs: Sequence[str], overwrite: bool) -> None:
    """Refuse a table in the place of what is read, or of what nobody said to replace."""
    try:
        there = csv.stat()
    except FileNotFoundError:
        return
    if stat.S_ISDIR(there.st_mode):
        raise OutputError(f"{csv} is a folder: give --csv the path of a file")
    if not stat.S_ISREG(there.st_mode):
        # It is written to, and stays what it is.
        return
    for each in inputs:
        with suppress(OSError, ValueError):
            if os.path.samestat(there, os.stat(each)):  # noqa: PTH116 - it may be no text
                raise OutputError(f"--csv {csv} is one of the files that are read: give another")
    if not overwrite:
        raise OutputError(f"{csv} exists: give --overwrite, or another file")


def _write(table: bytes) -> None:
    """Write the table to stdout as it is, whatever the encoding there."""
    sys.stdout.flush()
    raw = getattr(sys.stdout, "buffer", None)
    if raw is None:
        sys.stdout.write(table.decode("utf-8", "backslashreplace"))
    else:
        raw.write(table)


def _threshold(saved: SavedClassifier, unknown: float) -> float:
    """The probability below which a picture is unknown."""
    from dpl_nas.classifier.predictions import UNKNOWN

    if not unknown:
        return 0.0
    if UNKNOWN in saved.metadata.labels:
        raise ConfigError(f"a class is called {UNKNOWN}, so --unknown would mean two things")
    threshold = saved.threshold(unknown)
    if threshold < 0:
        raise ConfigError(
            f"--unknown {unknown:g} needs {round(1 / unknown) - 1} pictures to have been learned "
            f"from, found {len(saved.metadata.confidences)}: give a larger share"
        )
    return threshold


def _ranked(each: Prediction, labels: Sequence[Any], top: int) -> list[tuple[Any, float]]:
    pairs = zip(labels, each.probabilities, strict=True) if each.probabilities else ()
    return sorted(pairs, key=lambda pair: -pair[1])[:top]


def _plain(each: Prediction, labels: Sequence[Any], top: int) -> dict[str, Any]:
    if each.error is not None:
        return {"path": each.path, "error": each.error}
    ranked = _ranked(each, labels, top)
    return {
        "path": each.path,
        "label": each.label,
        "probability": each.probability,
        "top": [{"label": label, "probability": share} for label, share in ranked],
    }


def _line(each: Prediction, labels: Sequence[Any], top: int) -> str:
    path = make_printable(each.path)
    if each.error is not None:
        return f"{path}\tnot read: {make_printable(each.error)}"
    told = [
        f"{make_printable(str(label))} {share:.1%}" for label, share in _ranked(each, labels, top)
    ]
    best = told[0] if each.label in labels else f"{each.label} (most likely {told[0]})"
    return "\t".join([path, best, *told[1:]])
