"""``dpl-nas search``: only the search."""

from __future__ import annotations

import typer

from dpl_nas.cli.configuration import configure, typed
from dpl_nas.cli.options import (
    BudgetOption,
    ClassesOption,
    DataOption,
    DeviceOption,
    JobsOption,
    JsonOption,
    MethodOption,
    OutOption,
    Overrides,
    OverwriteOption,
    QuietOption,
    ResumeOption,
    SeedOption,
    ShotsOption,
    SpaceOption,
    StrategyOption,
    TaskOption,
)
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.cli.tables import show_files, show_lengths, show_notes

__all__ = ["search"]


def search(
    context: typer.Context,
    task: TaskOption,
    out: OutOption,
    space: SpaceOption = "mini_clip",
    strategy: StrategyOption = "darts",
    method: MethodOption = None,
    shots: ShotsOption = 16,
    seed: SeedOption = 1,
    data: DataOption = None,
    classes: ClassesOption = "all",
    budget: BudgetOption = None,
    jobs: JobsOption = 1,
    device: DeviceOption = "cpu",
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    overrides: Overrides = None,
) -> None:
    """Search the context lengths; DIR/architecture.json is the result."""
    config = configure(
        task,
        space,
        strategy,
        overrides,
        budget,
        **typed(
            context,
            data=data,
            classes=classes,
            shots=shots,
            seed=seed,
            device=device,
            jobs=jobs,
            method=method,
        ),
    )
    with job(quiet=quiet, folder=out) as observer:
        from dpl_nas.runs import search as search_job

        result = search_job(config, out, resume=resume, overwrite=overwrite, observer=observer)
    if json:
        print_json(result.to_json())
    else:
        show_lengths(console(), result.lengths, result.search.ties)
        show_notes(console(), result.notes)
        show_files(console(), out)
