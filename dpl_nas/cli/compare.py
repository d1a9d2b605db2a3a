"""``dpl-nas compare``: strategies beside each other, on the same data, seeds and budget."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpl_nas.cli.configuration import configure, typed
from dpl_nas.cli.options import (
    BudgetOption,
    ClassesOption,
    DataOption,
    DeviceOption,
    JsonOption,
    QuietOption,
    ShotsOption,
    parse_path,
)
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.errors import ConfigError

if TYPE_CHECKING:
    from dpl_nas.config import RunConfig

__all__ = ["compare"]


def compare(
    context: typer.Context,
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[SEED]... STRATEGY...",
            show_default=False,
            help="Strategies: packaged names or YAML files. A whole number is one more seed. "
            "KEY=VALUE is a setting for all strategies, STRATEGY.KEY=VALUE for one.",
        ),
    ],
    task: Annotated[
        list[str], typer.Option(metavar="TASK", help="Task. Give the option once for each task.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the comparison.", parser=parse_path)
    ],
    space: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPACE",
            help="Search space; mini_clip by default. Give the option once for each space.",
        ),
    ] = None,
    seeds: Annotated[
        str, typer.Option(metavar="SEED [SEED]...", help="Seeds, such as 1 2 3 or 1,2,3.")
    ] = "1 2 3",
    budget: BudgetOption = None,
    shots: ShotsOption = 16,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Strategy or reference that all others are compared with; by default, all pairs.",
        ),
    ] = None,
    data: DataOption = None,
    classes: ClassesOption = "all",
    jobs: Annotated[int, typer.Option(min=1, help="Number of runs side by side.")] = 1,
    device: DeviceOption = "cpu",
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare strategies: same data, seeds, evaluation and budget. DIR/report.html is the result.

    Runs that DIR already holds are not repeated. Give the same command again to go on after an
    interruption, or with more seeds or strategies to add these.
    """
    numbers, strategies, overrides = _sorted_out(seeds, arguments)
    settings = typed(context, data=data, classes=classes, shots=shots, device=device)
    configs = _configs(
        task, space or ["mini_clip"], strategies, numbers, overrides, budget, **settings
    )
    with job(quiet=quiet, goes_on=f"give the same command to go on with {out}") as observer:
        from dpl_nas.comparison import Plan, run_cells, write_report

        plan = Plan(tuple(configs), baseline=baseline)
        cells = run_cells(plan, out, jobs=jobs, observer=observer)
        command = shlex.join(["dpl-nas", *sys.argv[1:]])
        analysis = write_report(cells, out, baseline, command=command)
    if json:
        print_json({"folder": str(out), "cells": [cell.to_json() for cell in cells]})
    else:
        from dpl_nas.cli.comparison_tables import show_comparison

        show_comparison(console(), analysis)
        console().print(f"report {out / 'report.html'}", highlight=False)


def _sorted_out(seeds: str, arguments: Sequence[str]) -> tuple[list[int], list[str], list[str]]:
    """Sort seeds, strategies and overrides; all seeds but the first are among the arguments."""
    words = seeds.replace(",", " ").split()
    strategies: list[str] = []
    overrides: list[str] = []
    for argument in arguments:
        if argument.isdecimal():
            words.append(argument)
        elif "=" in argument:
            overrides.append(argument)
        else:
            strategies.append(argument)
    # Python itself refuses numbers of thousands of digits.
    wrong = [word for word in words if not word.isdecimal() or len(word) > 100]
    if wrong or not words or len(set(words)) != len(words):
        raise ConfigError(
            f"--seeds must be different whole numbers of 0 or more, such as 1 2 3, found "
            f"{' '.join(words)!r:.60}"
        )
    if not strategies:
        raise ConfigError("give at least one strategy, such as darts random evolution")
    return [int(word) for word in words], strategies, overrides


def _by_strategy(strategies: Sequence[str], overrides: Sequence[str]) -> dict[str, list[str]]:
    """The settings of each strategy: its own (``darts.search.epochs=15``), and others for all."""
    from dpl_nas.config import RunConfig, load_strategy, without_replaced

    keys = {*RunConfig.model_fields, "search", "train"}
    names = {strategy: load_strategy(strategy).name for strategy in strategies}
    # A name may begin with another: the longest is meant.
    prefixes = sorted({f"{name}." for name in names.values()} - {f"{key}." for key in keys})
    by_prefix: dict[str, list[str]] = {prefix: [] for prefix in ("", *prefixes)}
    for override in overrides:
        prefix = max((each for each in prefixes if override.startswith(each)), key=len, default="")
        by_prefix[prefix].append(override.removeprefix(prefix))
    settings = {}
    for strategy, name in names.items():
        own = by_prefix.get(f"{name}.", [])
        common = without_replaced(by_prefix[""], (each.partition("=")[0] for each in own))
        settings[strategy] = [*common, *own]
    return settings


def _configs(
    tasks: Sequence[str],
    spaces: Sequence[str],
    strategies: Sequence[str],
    seeds: Sequence[int],
    overrides: Sequence[str],
    budget: str | None,
    **common: Any,
) -> list[RunConfig]:
    """Runs in the order of the seeds: an interrupted comparison has run all equally often."""
    settings = _by_strategy(strategies, overrides)

    def one(task: str, space: str, strategy: str, seed: int) -> RunConfig:
        own = settings[strategy]
        try:
            return configure(task, space, strategy, own, budget, seed=seed, **common)
        except ConfigError as error:
            # A setting may be known to some of the strategies only.
            name = Path(strategy).stem
            raise ConfigError(
                f"{error} (for strategy {strategy}; a setting for this strategy alone is "
                f"{name}.KEY=VALUE)"
            ) from error

    return [
        one(task, space, strategy, seed)
        for seed in seeds
        for space in spaces
        for task in tasks
        for strategy in strategies
    ]
