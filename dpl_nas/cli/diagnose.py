"""``dpl-nas diagnose``: whether a search is right, and a task tells architectures apart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dpl_nas.cli.configuration import configure, typed
from dpl_nas.cli.options import (
    DataOption,
    DeviceOption,
    JsonOption,
    Overrides,
    QuietOption,
    SeedOption,
    ShotsOption,
    SpaceOption,
    StrategyOption,
    TaskOption,
    parse_path,
)
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.cli.tables import table

__all__ = ["app"]

DiagnosticOut = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        help="Folder of the diagnostic; an interrupted diagnostic there goes on.",
        parser=parse_path,
    ),
]
JobsOption = Annotated[int, typer.Option(min=1, help="Number of trainings side by side.")]

app = typer.Typer(
    no_args_is_help=True,
    help="Measure whether a task tells architectures apart, and whether searches rank them right.",
)


@app.command("separation")
def separation(
    context: typer.Context,
    task: TaskOption,
    out: DiagnosticOut,
    space: SpaceOption = "mini_clip_budget12",
    strategy: StrategyOption = "darts",
    shots: ShotsOption = 16,
    seed: SeedOption = 1,
    data: DataOption = None,
    architectures: Annotated[
        int, typer.Option(min=2, max=10_000, help="Number of random architectures.")
    ] = 20,
    seeds: Annotated[
        int,
        typer.Option(
            min=2, max=1000, help="Number of seeds for each architecture; the first is --seed."
        ),
    ] = 5,
    jobs: JobsOption = 1,
    device: DeviceOption = "cpu",
    json: JsonOption = False,
    quiet: QuietOption = False,
    overrides: Overrides = None,
) -> None:
    """Measure whether a task tells architectures apart.

    The ratio is the spread of architectures over the noise of seeds. If it is below 2, a
    comparison of strategies on this task says nothing.
    """
    settings = typed(context, data=data, shots=shots, seed=seed, device=device)
    config = configure(task, space, strategy, overrides, **settings)
    with job(quiet=quiet, goes_on=f"give the same command to go on with {out}") as observer:
        from dpl_nas.diagnostics import measure_separation

        found = measure_separation(
            config, out, configurations=architectures, seeds=seeds, jobs=jobs, observer=observer
        )
    if json:
        print_json(found.as_dict())
        return
    shown = table(
        "task", "space", "mean", "worst", "best", "SD between", "SE of a mean", "ratio", "gate"
    )
    shown.add_row(
        found.task,
        found.space,
        *(f"{100 * x:.1f}" for x in (found.mean, found.worst, found.best)),
        *(f"{100 * x:.2f}" for x in (found.measured_spread, found.error)),
        f"{found.ratio:.1f}",
        "reached" if found.passed else "missed",
    )
    console().print(shown)


@app.command("ranking")
def ranking(
    context: typer.Context,
    task: TaskOption,
    out: DiagnosticOut,
    space: SpaceOption = "mini_clip_budget12",
    strategy: StrategyOption = "darts",
    shots: ShotsOption = 16,
    seed: SeedOption = 1,
    data: DataOption = None,
    architectures: Annotated[
        int, typer.Option(min=3, max=10_000, help="Number of random architectures.")
    ] = 60,
    searches: Annotated[
        int,
        typer.Option(min=1, max=1000, help="Number of seeds to search with; the first is --seed."),
    ] = 3,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of epochs of a short trial; by default those of the strategy's."
        ),
    ] = None,
    jobs: JobsOption = 1,
    device: DeviceOption = "cpu",
    json: JsonOption = False,
    quiet: QuietOption = False,
    overrides: Overrides = None,
) -> None:
    """Measure whether searches rank architectures as the test does.

    A proxy is a score that a search goes by. The result is Kendall's tau of each proxy. Alphas
    are one of them, so the strategy must have alphas, as darts does.
    """
    settings = typed(context, data=data, shots=shots, seed=seed, device=device)
    config = configure(task, space, strategy, overrides, **settings)
    with job(quiet=quiet, goes_on=f"give the same command to go on with {out}") as observer:
        from dpl_nas.diagnostics import rank_proxies

        found = rank_proxies(
            config,
            out,
            architectures=architectures,
            search_seeds=range(config.seed, config.seed + searches),
            epochs=epochs,
            jobs=jobs,
            observer=observer,
        )
    if json:
        print_json(found.as_dict())
        return
    shown = table("proxy", "seed", "Kendall's tau", "95% interval", title=f"{found.task}")
    for each in found.agreements:
        interval = f"{each.low:+.2f} to {each.high:+.2f}"
        shown.add_row(each.proxy, str(each.seed), f"{each.tau:+.2f}", interval)
    console().print(shown)
    chosen = table("search seed", "choice", "median random", "random at equal cost", "its trials")
    for choice in found.choices:
        accuracies = (choice.accuracy, choice.median_random, choice.best_random)
        shares = [f"{value:.1%}" for value in accuracies]
        chosen.add_row(str(choice.seed), *shares, str(choice.trials))
    console().print(chosen)
