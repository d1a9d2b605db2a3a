"""``dpl-nas bench``: methods beside each other, under a protocol of the field."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dpl_nas.cli.named import by_owner, read_settings, whole_numbers
from dpl_nas.cli.options import (
    BudgetOption,
    DataOption,
    DeviceOption,
    JsonOption,
    QuietOption,
    SpaceOption,
    parse_path,
)
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.errors import BenchError

__all__ = ["bench"]


def bench(
    methods: Annotated[
        list[str],
        typer.Argument(
            metavar="METHOD...",
            show_default=False,
            help="Methods, such as zero-shot coop maple dpl. METHOD@STRATEGY searches the "
            "lengths in each cell. METHOD.KEY=VALUE is a setting of one, "
            "train.KEY=VALUE one of --recipe problem and tuned.",
        ),
    ],
    tasks: Annotated[
        list[str],
        typer.Option("--task", metavar="TASK", help="Task. Give the option once for each task."),
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the bench.", parser=parse_path)
    ],
    protocol: Annotated[
        Literal["few-shot", "base-to-new", "cross-dataset", "domain-generalization"],
        typer.Option(help="What is learned, and what is tested."),
    ] = "few-shot",
    shots: Annotated[
        str, typer.Option(metavar="SHOTS", help="Training images a class, such as 1,2,4,8,16.")
    ] = "16",
    seeds: Annotated[str, typer.Option(metavar="SEEDS", help="Seeds, such as 1,2,3.")] = "1,2,3",
    recipe: Annotated[
        Literal["published", "problem", "tuned"],
        typer.Option(
            help="Each method's own recipe, the same for all, or that with settings that a small "
            "search on the shots chooses."
        ),
    ] = "published",
    budget: BudgetOption = None,
    published: Annotated[
        bool,
        typer.Option("--published", help="Add figures of papers, marked as not measured here."),
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD", help="Method that all others are compared with, pair by pair."
        ),
    ] = None,
    space: SpaceOption = "mini_clip",
    data: DataOption = None,
    jobs: Annotated[int, typer.Option(min=1, help="Number of cells side by side.")] = 1,
    device: DeviceOption = "cpu",
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare methods: same images, seeds and tests. DIR/report.html is the result.

    Cells that DIR already holds are not repeated. Give the same command again to go on after an
    interruption, or with more methods, tasks, shots or seeds to add these.
    """
    names, settings, train = _sorted_out(methods)
    if baseline is not None and baseline not in names:
        raise BenchError(
            f"the baseline {baseline} is not among the methods: choose one of {', '.join(names)}"
        )
    with job(quiet=quiet, goes_on=f"give the same command to go on with {out}") as observer:
        from dpl_nas.bench import BenchPlan, run_bench, write_bench
        from dpl_nas.io.validation import validate
        from dpl_nas.space import load_space

        values = {
            "protocol": protocol,
            "tasks": tasks,
            "methods": names,
            "shots": whole_numbers(shots, "--shots"),
            "seeds": whole_numbers(seeds, "--seeds"),
            "settings": settings,
            "recipe": recipe,
            "train": train,
            "budget": budget,
            "data": data,
            "space": load_space(space).model_dump(mode="json"),
            "device": device,
        }
        plan = validate(BenchPlan, values, "bench", BenchError)
        cells = run_bench(plan, out, jobs=jobs, observer=observer)
        command = shlex.join(["dpl-nas", *sys.argv[1:]])
        tables = write_bench(cells, out, published=published, baseline=baseline, command=command)
    if json:
        print_json({"folder": str(out), "cells": [cell.model_dump(mode="json") for cell in cells]})
        return
    from dpl_nas.cli.comparison_tables import as_table

    for grid in tables.summary:
        console().print(as_table(grid))
    console().print(f"report {out / 'report.html'}", highlight=False)


def _sorted_out(
    arguments: Sequence[str],
) -> tuple[list[str], dict[str, dict[str, Any]], dict[str, Any]]:
    """Sort names of methods, their settings, and those of the recipe."""
    names = [each for each in arguments if "=" not in each]
    if not names:
        raise BenchError("give at least one method, such as zero-shot coop dpl")
    of = by_owner((each for each in arguments if "=" in each), (*names, "train"))
    if of[""]:
        raise BenchError(
            f"expected METHOD.KEY=VALUE of a method that is given, or train.KEY=VALUE, found "
            f"{of[''][0]!r:.100}"
        )
    settings = {name: read_settings(own) for name, own in of.items() if own}
    return names, settings, settings.pop("train", {})
