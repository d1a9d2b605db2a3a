"""Options that several subcommands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dpl_nas.io.home import expand_home

__all__ = [
    "BudgetOption",
    "ClassesOption",
    "ClassifierArgument",
    "DataOption",
    "DeviceOption",
    "JobsOption",
    "JsonOption",
    "MethodOption",
    "OutOption",
    "Overrides",
    "OverwriteOption",
    "QuietOption",
    "ResumeOption",
    "SeedOption",
    "ShotsOption",
    "SpaceOption",
    "StrategyOption",
    "TaskOption",
    "parse_path",
]


def parse_path(text: str) -> Path:
    """Return the path that was typed, with the home folder for a leading ``~``."""
    if not text:
        raise typer.BadParameter("expected a path, found nothing: give . for the working directory")
    try:
        # To Python, an empty path is the working directory, and ~ a folder of this name.
        return Path(expand_home(text))
    except ValueError as problem:
        raise typer.BadParameter(f"{problem} (found {text!r:.100})") from None


def _parse_root(text: str) -> str:
    # As it was typed: it must equal data=ROOT.
    parse_path(text)
    return text


TaskOption = Annotated[
    str,
    typer.Option(
        metavar="TASK",
        help="Task: a name of dpl-nas tasks, or the path of your images.",
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        metavar="ROOT", help="Folder of the datasets, for coop/<dataset>.", parser=_parse_root
    ),
]
ClassesOption = Annotated[
    Literal["all", "base", "new"],
    typer.Option(help="All classes of the task, the first half by label, or the second."),
]
ClassifierArgument = Annotated[
    Path, typer.Argument(metavar="CLF", help="Folder of a classifier.", parser=parse_path)
]
SpaceOption = Annotated[
    str, typer.Option(metavar="SPACE", help="Search space: a packaged name or a YAML file.")
]
StrategyOption = Annotated[
    str, typer.Option(metavar="STRATEGY", help="Strategy: a packaged name or a YAML file.")
]
MethodOption = Annotated[
    str | None,
    typer.Option(
        metavar="METHOD",
        help="Method whose lengths are searched, such as maple or dpl+promptsrc; by default, "
        "context vectors alone. method.KEY=VALUE is a setting of it.",
    ),
]
ShotsOption = Annotated[int, typer.Option(help="Training images a class, validation included.")]
SeedOption = Annotated[int, typer.Option(help="Seed of the few-shot draw, search and training.")]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        metavar="BUDGET",
        help="Budget of the search: 40-trials, 8000-steps or 600-seconds; commas join several.",
    ),
]
JobsOption = Annotated[int, typer.Option(min=1, help="Number of trials side by side.")]
OutOption = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder of the run.", parser=parse_path)
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with the interrupted run in --out.")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="First remove the run in --out.")
]
DeviceOption = Annotated[str, typer.Option(help="Device: cpu, cuda or cuda:N.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the result on stdout as one JSON object.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        show_default=False,
        help="Settings to override, such as search.epochs=60 or train.optimizer.lr=0.01.",
    ),
]
