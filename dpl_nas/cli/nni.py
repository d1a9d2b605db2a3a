"""``dpl-nas nni``: what an NNI experiment needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dpl_nas.cli import nni_experiment
from dpl_nas.cli.options import parse_path

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Prepare, follow and export NNI experiments.")


@app.callback()
def _group() -> None:
    """Tools for an NNI experiment."""


@app.command("preload")
def preload() -> None:
    """Print the NODE_OPTIONS that keep NNI's server on 127.0.0.1.

    NODE_OPTIONS="$(dpl-nas nni preload)" nnictl create --config dpl_darts.yml
    """
    from dpl_nas.experiments.loopback import node_options

    typer.echo(node_options())


@app.command("worker")
def worker(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder to write; pythonPath in dpl_remote.yml.",
            metavar="FOLDER",
            parser=parse_path,
        ),
    ],
) -> None:
    """Write the Python command that NNI's remote service starts on this worker.

    With it, NNI's server on this machine stays on 127.0.0.1, and pip does not use the network.
    """
    from dpl_nas.experiments.worker import write_worker

    typer.echo(write_worker(folder))


app.command("watch")(nni_experiment.watch)
app.command("export")(nni_experiment.export)
