"""``dpl-nas compare``: strategies beside each other, on the same data, seeds and budget."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpl_nas.cli.configuration import configure
from dpl_nas.cli.options import (
    BudgetOption,
    ClassesOption,
    DataOption,
    DeviceOption,
    JsonOption,
    QuietOption,
    ShotsOption,
)
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.errors import ConfigError

if TYPE_CHECKING:
    from dpl_nas.config import RunConfig

__all__ = ["compare"]


def compare(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[SEED]... STRATEGY...",
            show_default=False,
            help="Packaged strategies or YAML files; whole numbers are further seeds; KEY=VALUE "
            "are settings for all, STRATEGY.KEY=VALUE for one of them.",
        ),
    ],
    task: Annotated[list[str], typer.Option(metavar="TASK", help="May be given several times.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the comparison.")],
    space: Annotated[
        list[str] | None, typer.Option(metavar="SPACE", help="May be given several times.")
    ] = None,
    seeds: Annotated[
        str, typer.Option(metavar="SEED [SEED]...", help="Seeds, such as 1 2 3 or 1,2,3.")
    ] = "1 2 3",
    budget: BudgetOption = None,
    shots: ShotsOption = 16,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Compare all others with this strategy only."),
    ] = None,
    data: DataOption = None,
    classes: ClassesOption = "all",
    jobs: Annotated[int, typer.Option(min=1, help="Runs side by side.")] = 1,
    device: DeviceOption = "cpu",
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare strategies: same data, seeds, evaluation and budget. DIR/report.html is the result.

    What is in DIR already is not run again: the same command goes on after an interruption, and
    one with more seeds or strategies adds to it.
    """
    numbers, strategies, overrides = _sorted_out(seeds, arguments)
    configs = _configs(
        task,
        space or ["mini_clip"],
        strategies,
        numbers,
        overrides,
        budget=budget,
        data=data,
        classes=classes,
        shots=shots,
        device=device,
    )
    with job(quiet=quiet, goes_on=f"the same command goes on with {out}") as observer:
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
    """Seeds, strategies and overrides. The shell puts all seeds but the first among them."""
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
    """The settings of each strategy: those for all, then its own (``darts.search.epochs=15``)."""
    from dpl_nas.config import RunConfig, load_strategy

    keys = {*RunConfig.model_fields, "search", "train"}
    names = {strategy: load_strategy(strategy).name for strategy in strategies}
    settings: dict[str, list[str]] = {strategy: [] for strategy in strategies}
    # A name may begin with another: the longest is meant.
    prefixes = sorted({f"{name}." for name in names.values()} - {f"{key}." for key in keys})
    for override in sorted(overrides, key=lambda each: each.startswith(tuple(prefixes))):
        prefix = max((each for each in prefixes if override.startswith(each)), key=len, default="")
        for strategy, name in names.items():
            if prefix in ("", f"{name}."):
                settings[strategy].append(override.removeprefix(prefix))
    return settings


def _configs(
    tasks: Sequence[str],
    spaces: Sequence[str],
    strategies: Sequence[str],
    seeds: Sequence[int],
    overrides: Sequence[str],
    **shared: Any,
) -> list[RunConfig]:
    """Runs in the order of the seeds: an interrupted comparison has run all equally often."""
    settings = _by_strategy(strategies, overrides)

    def one(task: str, space: str, strategy: str, seed: int) -> RunConfig:
        own = settings[strategy]
        try:
            return configure(task, space, strategy, own, seed=seed, **shared)
        except ConfigError as error:
            # A setting may be known to some of the strategies only.
            name = Path(strategy).stem
            raise ConfigError(
                f"{error} (for the strategy {strategy}; {name}.KEY=VALUE is a setting for it alone)"
            ) from error

    return [
        one(task, space, strategy, seed)
        for seed in seeds
        for space in spaces
        for task in tasks
        for strategy in strategies
    ]
