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
            help="Folder of a run, or its prompts.safetensors.",
            metavar="PROMPTS",
            parser=parse_path,
        ),
    ],
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            help="Task to test on, with the same classes; by default that of the run.",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Number of images in a batch.", min=1)] = 100,
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
