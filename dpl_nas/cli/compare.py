"""``dpl-nas compare``: strategies beside each other, on the same data, seeds and budget."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from dpl_nas.cli.configuration import configure, typed
from dpl_nas.cli.named import by_owner, whole_numbers
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


class _Axes(NamedTuple):
    """What is combined with each other; no method is context vectors alone."""

    tasks: Sequence[str]
    spaces: Sequence[str]
    strategies: Sequence[str]
    methods: Sequence[str | None]
    seeds: Sequence[int]


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
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD",
            help="Method whose lengths are searched, such as maple; by default, context vectors "
            "alone. Give the option once for each. METHOD.KEY=VALUE is a setting of one.",
        ),
    ] = None,
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
        _Axes(task, space or ["mini_clip"], strategies, method or [None], numbers),
        overrides,
        budget,
        **settings,
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
    numbers = whole_numbers(words, "--seeds")
    if not strategies:
        raise ConfigError("give at least one strategy, such as darts random evolution")
    return numbers, strategies, overrides


def _by_strategy(strategies: Sequence[str], overrides: Sequence[str]) -> dict[str, list[str]]:
    """The settings of each strategy: its own (``darts.search.epochs=15``), and others for all."""
    from dpl_nas.config import RunConfig, load_strategy, without_replaced

    keys = {*RunConfig.model_fields, "search", "train"}
    names = {strategy: load_strategy(strategy).name for strategy in strategies}
    by_name = by_owner(overrides, sorted(set(names.values()) - keys))
    settings = {}
    for strategy, name in names.items():
        own = by_name.get(name, [])
        common = without_replaced(by_name[""], (each.partition("=")[0] for each in own))
        settings[strategy] = [*common, *own]
    return settings


def _configs(
    axes: _Axes, overrides: Sequence[str], budget: str | None, **common: Any
) -> list[RunConfig]:
    """Runs in the order of the seeds: an interrupted comparison has run all equally often."""
    by_method = by_owner(overrides, filter(None, axes.methods))
    settings = _by_strategy(axes.strategies, by_method[""])

    def one(task: str, space: str, strategy: str, method: str | None, seed: int) -> RunConfig:
        own = [
            *settings[strategy],
            *(f"method.{each}" for each in by_method[method or ""] if method),
        ]
        try:
            return configure(task, space, strategy, own, budget, seed=seed, method=method, **common)
        except ConfigError as error:
            # A setting may be known to some of the strategies only.
            name = Path(strategy).stem
            raise ConfigError(
                f"{error} (for strategy {strategy}; a setting for this strategy alone is "
                f"{name}.KEY=VALUE)"
            ) from error

    return [
        one(task, space, strategy, method, seed)
        for seed in axes.seeds
        for space in axes.spaces
        for task in axes.tasks
        for method in axes.methods
        for strategy in axes.strategies
    ]
