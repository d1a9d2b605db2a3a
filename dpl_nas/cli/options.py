"""Options that several subcommands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = [
    "BudgetOption",
    "ClassesOption",
    "DataOption",
    "DeviceOption",
    "JobsOption",
    "JsonOption",
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
]

TaskOption = Annotated[
    str,
    typer.Option(
        metavar="TASK",
        help="mini/<name> or coop/<dataset> (see dpl-nas tasks), or the path of your own images.",
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(metavar="ROOT", help="The folder of the datasets, for coop/<dataset>."),
]
ClassesOption = Annotated[
    Literal["all", "base", "new"],
    typer.Option(help="All classes of the task, the first half by label, or the second."),
]
SpaceOption = Annotated[
    str, typer.Option(metavar="SPACE", help="A packaged search space, or a path to a YAML file.")
]
StrategyOption = Annotated[
    str, typer.Option(metavar="STRATEGY", help="A packaged strategy, or a path to a YAML file.")
]
ShotsOption = Annotated[int, typer.Option(help="Labelled images a class, validation included.")]
SeedOption = Annotated[int, typer.Option(help="Of the few-shot draw, the search and training.")]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        metavar="BUDGET",
        help="What the search may spend: 40-trials, 8000-steps, 600-seconds; commas join several.",
    ),
]
JobsOption = Annotated[int, typer.Option(min=1, help="Trials of the search side by side.")]
OutOption = Annotated[Path, typer.Option(metavar="DIR", help="The folder of the run.")]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with the interrupted run in --out.")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Remove the run that is in --out first.")
]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")
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
