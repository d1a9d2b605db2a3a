"""``dpl-nas evaluate``: test trained prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dpl_nas.cli.options import DeviceOption, JsonOption, QuietOption, parse_path
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.cli.tables import show_metrics

__all__ = ["evaluate"]


def evaluate(
    prompts: Annotated[
        Path,
        typer.Argument(
            help="The folder of a run, or its prompts.safetensors.",
            metavar="PROMPTS",
            parser=parse_path,
        ),
    ],
    task: Annotated[
        str | None,
        typer.Option(metavar="TASK", help="Another task with the same classes to test on."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Images at a time.", min=1)] = 100,
    device: DeviceOption = "cpu",
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Test trained prompts on the full test set of their task."""
    with job(quiet=quiet) as observer:
        from dpl_nas.runs import evaluate as evaluate_job

        result = evaluate_job(
            prompts, task, batch_size=batch_size, device=device, observer=observer
        )
    if json:
        print_json(result.to_json())
    else:
        show_metrics(console(), result)
