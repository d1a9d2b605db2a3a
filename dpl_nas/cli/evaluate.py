"""``dpl-nas evaluate``: test trained prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dpl_nas.cli.options import DataOption, DeviceOption, JsonOption, QuietOption, parse_path
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
        typer.Option(metavar="TASK", help="Task to test on; by default that of the run."),
    ] = None,
    data: DataOption = None,
    classes: Annotated[
        Literal["all", "base", "new"] | None,
        typer.Option(
            help="All classes of the task, or a half; by default those of the training.",
            show_default=False,
        ),
    ] = None,
    other_classes: Annotated[
        bool,
        typer.Option(
            "--other-classes",
            help="Test on a task whose classes differ. A dataset coop/... always may.",
        ),
    ] = False,
    batch_size: Annotated[int, typer.Option(help="Number of images in a batch.", min=1)] = 100,
    device: DeviceOption = "cpu",
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Test trained prompts on the full test set of their task, or of another one."""
    with job(quiet=quiet) as observer:
        from dpl_nas.runs import evaluate as evaluate_job

        result = evaluate_job(
            prompts,
            task,
            data=data,
            classes=classes,
            other_classes=other_classes,
            batch_size=batch_size,
            device=device,
            observer=observer,
        )
    if json:
        print_json(result.to_json())
    else:
        show_metrics(console(), result)
