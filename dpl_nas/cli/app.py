"""The program: its subcommands and its exit codes."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Annotated

import typer

from dpl_nas import __version__
from dpl_nas.cli import (
    backbones,
    bench,
    compare,
    diagnose,
    evaluate,
    export,
    fit,
    main,
    mini,
    nni,
    predict,
    report,
    run,
    search,
    show,
    space,
    tasks,
    train,
)
from dpl_nas.cli.streams import ReaderGone, finish_output, say
from dpl_nas.errors import DplError, join_lines, shorten
from dpl_nas.io.text import make_printable
from dpl_nas.process.memory import keep_freed_memory
from dpl_nas.process.notes import notes_told
from dpl_nas.process.threads import share_cores

__all__ = ["app", "main", "run_app"]

#: The most characters of a sentence, whatever was typed.
_LONGEST = 1500

#: File errors that the user can mend: no disk, no permission, a wrong path.
_USERS_ERRNOS = frozenset(
    {
        errno.EACCES,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOSPC,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)

app = typer.Typer(
    name="dpl-nas",
    help="Search the context length of every layer of a frozen CLIP with DARTS on NNI.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dpl-nas {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Search the context length of every layer of a frozen CLIP with DARTS on NNI."""


app.command("run")(run.run)
app.command("search")(search.search)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("bench")(bench.bench)
app.command("compare")(compare.compare)
app.command("fit")(fit.fit)
app.command("predict")(predict.predict)
app.command("report")(report.report)
app.command("export")(export.export)
app.command("show")(show.show)
app.command("backbones")(backbones.backbones)
app.add_typer(space.app, name="space")
app.add_typer(diagnose.app, name="diagnose")
app.add_typer(tasks.app, name="tasks")
app.add_typer(mini.app, name="mini")
app.add_typer(nni.app, name="nni")


def run_app(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code: 0, 1 as some commands say, or 2 for bad input.

    Bad input (a :class:`~dpl_nas.errors.DplError`) is one sentence on stderr.
    """
    share_cores()
    keep_freed_memory()
    try:
        with notes_told():
            code = app(
                args=list(arguments) if arguments is not None else None,
                prog_name="dpl-nas",
                standalone_mode=False,
            )
        finish_output()
    except DplError as error:
        return _refuse(str(error))
    except typer.Abort:
        say("interrupted")
        return 130
    except ReaderGone:
        return 0
    except OSError as error:
        if error.errno not in _USERS_ERRNOS:
            raise
        where = f"{error.filename}: " if error.filename else ""
        return _refuse(f"{where}{error.strerror}")
    except Exception as error:
        # Typer's usage errors are click's; newer versions of Typer have a private copy of click.
        tell = getattr(error, "format_message", None)
        if tell is None:
            raise
        sentence = tell().rstrip(".")
        if not sentence:  # no subcommand was given: its help has been printed
            return 2
        command = getattr(getattr(error, "ctx", None), "command_path", "dpl-nas")
        return _refuse(f"{sentence} (see {command} --help)")
    return code or 0


def _refuse(sentence: str) -> int:
    say(f"error: {shorten(make_printable(join_lines(sentence)), _LONGEST)}")
    return 2
