"""``dpl-nas nni``: what an NNI experiment needs."""

from __future__ import annotations

import typer

from dpl_nas.cli import nni_experiment

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="What an NNI experiment needs.")


@app.callback()
def _group() -> None:
    """What an NNI experiment needs."""


@app.command("preload")
def preload() -> None:
    """Print the NODE_OPTIONS that keep NNI's server on 127.0.0.1.

    NODE_OPTIONS="$(dpl-nas nni preload)" nnictl create --config dpl_darts.yml
    """
    from dpl_nas.nni.loopback import node_options

    typer.echo(node_options())


app.command("watch")(nni_experiment.watch)
app.command("export")(nni_experiment.export)
