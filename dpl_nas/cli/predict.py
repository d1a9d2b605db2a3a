"""``dpl-nas predict``: what a classifier says of pictures."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterator, Sequence
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
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.errors import ConfigError, TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.observer import Stage

if TYPE_CHECKING:
    from dpl_nas.classifier.predictions import Prediction

__all__ = ["predict"]


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
        typer.Option(metavar="FILE", help="Write a table, too.", parser=parse_path),
    ] = None,
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
    with job(quiet=quiet) as observer:
        from dpl_nas.classifier.pictures import Pictures
        from dpl_nas.classifier.predictions import UNKNOWN, predict_each, predictions_csv
        from dpl_nas.classifier.saved import SavedClassifier
        from dpl_nas.io.files import write_text

        saved = SavedClassifier.load(classifier)
        meta = saved.metadata
        paths = list(_paths(images))
        if not paths:
            raise TaskError(f"found no pictures in {', '.join(images)}: give files or folders")
        pictures = Pictures(paths, meta.background)
        built = saved.classifier(saved.load_backbone(device))
        threshold = saved.threshold(unknown) if unknown else 0.0
        if unknown and UNKNOWN in meta.labels:
            raise ConfigError(f"a class is called {UNKNOWN}, so --unknown would mean two things")
        if unknown and threshold < 0:
            raise ConfigError(
                f"--unknown {unknown:g} needs {round(1 / unknown) - 1} pictures to have been "
                f"learned from, found {len(meta.confidences)}: give a larger share"
            )
        found: list[Prediction] = []
        observer.begin(Stage.PREDICT, len(paths))
        for each in predict_each(
            built, meta.labels, pictures, threshold=threshold, batch_size=batch_size
        ):
            found.append(each)
            observer.advance(Stage.PREDICT, len(found), {})
        observer.end(Stage.PREDICT)
        if csv is not None:
            write_text(csv, predictions_csv(meta, found))
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
    else:
        shown = console()
        for each in found:
            shown.print(_line(each, meta.labels, top), highlight=False)
    if unread:
        sys.stderr.write(f"{unread} of {len(found)} pictures could not be read\n")
        raise typer.Exit(1)


def _paths(images: Sequence[str]) -> Iterator[str]:
    """The files that are meant, in order."""
    from dpl_nas.classifier.pictures import list_pictures
    from dpl_nas.io.home import expand_home

    for each in images:
        if each == "-":
            yield from filter(None, (line.rstrip("\r\n") for line in sys.stdin))
            continue
        path = Path(expand_home(each))
        if path.is_dir():
            yield from map(str, list_pictures(path))
        elif not path.exists() and (matched := sorted(glob.glob(str(path), recursive=True))):  # noqa: PTH207 - absolute patterns
            yield from matched
        else:
            yield str(path)


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
