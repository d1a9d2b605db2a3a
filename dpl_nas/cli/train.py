"""``dpl-nas train``: train the context vectors of given lengths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpl_nas.cli.configuration import configure, typed
from dpl_nas.cli.options import (
    ClassesOption,
    DataOption,
    DeviceOption,
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
    parse_path,
)
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.cli.tables import show_files, show_lengths
from dpl_nas.errors import ConfigError

if TYPE_CHECKING:
    from dpl_nas.space import Architecture, Space

__all__ = ["train"]


def train(
    context: typer.Context,
    task: TaskOption,
    out: OutOption,
    architecture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File architecture.json, or the folder of a search.",
            parser=parse_path,
        ),
    ] = None,
    length: Annotated[
        int | None, typer.Option(help="Length of all layers, instead of --architecture.")
    ] = None,
    space: SpaceOption = "mini_clip",
    strategy: StrategyOption = "darts",
    method: MethodOption = None,
    shots: ShotsOption = 16,
    seed: SeedOption = 1,
    data: DataOption = None,
    classes: ClassesOption = "all",
    device: DeviceOption = "cpu",
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    overrides: Overrides = None,
) -> None:
    """Train the context vectors of an architecture; DIR/prompts.safetensors is the result.

    With --method, that is what is trained, into DIR/learned.safetensors.
    """
    from dpl_nas.io.run_files import ARCHITECTURE
    from dpl_nas.space import load_architecture

    if (architecture is None) == (length is None):
        raise ConfigError("give either --architecture FILE or --length N")
    settings = typed(
        context,
        data=data,
        classes=classes,
        shots=shots,
        seed=seed,
        device=device,
        method=method,
    )
    config = configure(task, space, strategy, overrides, **settings)
    if architecture is not None:
        file = architecture / ARCHITECTURE if architecture.is_dir() else architecture
        chosen = load_architecture(file)
        config.space.check(chosen)
    else:
        if length is None or length < 0:
            raise ConfigError(f"--length must be a whole number of 0 or more, found {length}")
        chosen = _everywhere(config.space, length)
    with job(quiet=quiet, folder=out) as observer:
        from dpl_nas.runs import train as train_job

        result = train_job(
            config, chosen, out, resume=resume, overwrite=overwrite, observer=observer
        )
    if json:
        print_json(result.to_json())
    else:
        show_lengths(console(), result.lengths)
        show_files(console(), out)


def _everywhere(space: Space, length: int) -> Architecture:
    """The architecture with exactly this length at every layer."""
    if any(length not in part.lengths for part in space.towers.values()):
        raise ConfigError(
            f"--length must be a length that every tower of space {space.name} offers "
            f"({space.describe_lengths()}), found {length}: give another length, or --architecture"
        )
    return space.architecture({label: length for label, _, _ in space.labels()})
