"""``dpl-nas export``: a classifier as a file that runs without this package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dpl_nas.cli.options import (
    ClassifierArgument,
    JsonOption,
    OverwriteOption,
    QuietOption,
    parse_path,
)
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.errors import OutputError

__all__ = ["export"]

#: Pictures that come with the package, to compare on.
_PICTURES = "pictures/vehicles"
_COUNT = 7


def export(
    classifier: ClassifierArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="File to write.", parser=parse_path)],
    kind: Annotated[
        Literal["onnx", "pt2"],
        typer.Option("--format", help="ONNX, or a program for torch.export.load."),
    ] = "onnx",
    uint8: Annotated[
        bool, typer.Option("--uint8", help="Take uint8 pixels, and normalise them inside.")
    ] = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a classifier as one file: images in, probabilities out.

    It is compared with the classifier on real pictures before it is kept.
    """
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists: give --overwrite, or another file")
    with job(quiet=quiet):
        from dpl_nas.classifier.export import export as write
        from dpl_nas.classifier.saved import SavedClassifier
        from dpl_nas.tasks import load_task

        saved = SavedClassifier.load(classifier)
        built = saved.classifier(saved.load_backbone())
        shown = load_task(_PICTURES).test
        pictures = [shown.image(row) for row in range(_COUNT)]
        difference = write(built, saved.metadata, out, kind, pictures, from_bytes=uint8)
    size = out.stat().st_size
    if json:
        print_json({"file": str(out), "format": kind, "bytes": size, "difference": difference})
    else:
        console().print(
            f"{out}  {size / 1e6:.1f} MB; probabilities differ by {difference:.1g} at most",
            highlight=False,
        )
