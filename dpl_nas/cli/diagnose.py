"""``dpl-nas diagnose``: whether a search is right, and a task tells architectures apart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
)
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.cli.tables import table

__all__ = ["app"]

StudyOut = Annotated[
    Path,
    typer.Option(
        metavar="DIR", help="The folder of the diagnostic; one that was interrupted there goes on."
    ),
]
JobsOption = Annotated[int, typer.Option(min=1, help="Trainings side by side.")]

app = typer.Typer(
    no_args_is_help=True, help="Whether the search is right, and whether a task can tell."
)


@app.command("separation")
def separation(
    task: TaskOption,
    out: StudyOut,
    space: SpaceOption = "mini_clip_budget12",
    strategy: StrategyOption = "darts",
    shots: ShotsOption = 16,
    seed: SeedOption = 1,
    data: DataOption = None,
    architectures: Annotated[
        int, typer.Option(min=2, max=10_000, help="Random architectures.")
    ] = 20,
    seeds: Annotated[
        int, typer.Option(min=2, max=1000, help="Trainings of each, from --seed on.")
    ] = 5,
    jobs: JobsOption = 1,
    device: DeviceOption = "cpu",
    json: JsonOption = False,
    quiet: QuietOption = False,
    overrides: Overrides = None,
) -> None:
    """Measure whether a task tells architectures apart: their spread against the seeds' noise.

    Without a ratio of at least 2, a comparison of strategies on it says nothing.
    """
    from dpl_nas.config import resolve

    config = resolve(
        task, space, strategy, overrides or (), data=data, shots=shots, seed=seed, device=device
    )
    with job(quiet=quiet, goes_on=f"the same command goes on with {out}") as observer:
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
    task: TaskOption,
    out: StudyOut,
    space: SpaceOption = "mini_clip_budget12",
    strategy: StrategyOption = "darts",
    shots: ShotsOption = 16,
    seed: SeedOption = 1,
    data: DataOption = None,
    architectures: Annotated[
        int, typer.Option(min=3, max=10_000, help="Random architectures.")
    ] = 60,
    searches: Annotated[
        int, typer.Option(min=1, max=1000, help="Search seeds, from --seed on.")
    ] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Of the low-fidelity trials.")] = 5,
    jobs: JobsOption = 1,
    device: DeviceOption = "cpu",
    json: JsonOption = False,
    quiet: QuietOption = False,
    overrides: Overrides = None,
) -> None:
    """Do strategies rank architectures as their tests do? Kendall's tau of each proxy.

    The strategy must be darts, or one of its kind: its alphas are a proxy.
    """
    from dpl_nas.config import resolve

    config = resolve(
        task, space, strategy, overrides or (), data=data, shots=shots, seed=seed, device=device
    )
    with job(quiet=quiet, goes_on=f"the same command goes on with {out}") as observer:
        from dpl_nas.diagnostics import rank_proxies

        found = rank_proxies(
            config,
            out,
            architectures=architectures,
            search_seeds=range(seed, seed + searches),
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
