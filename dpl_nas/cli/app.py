"""The program: its subcommands, and how it ends."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from dpl_nas import __version__
from dpl_nas.cli import compare, diagnose, evaluate, mini, nni, run, search, space, tasks, train
from dpl_nas.errors import DplError, shortened
from dpl_nas.process.memory import keep_freed_memory
from dpl_nas.process.threads import share_cores

__all__ = ["app", "main"]

#: Troubles with files that the user can mend: no disk, no permission, a wrong path.
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
app.command("compare")(compare.compare)
app.add_typer(space.app, name="space")
app.add_typer(diagnose.app, name="diagnose")
app.command("tasks")(tasks.tasks)
app.add_typer(mini.app, name="mini")
app.add_typer(nni.app, name="nni")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the program and exit: 0, 2 for bad input, or 130 if interrupted.

    Bad input (a :class:`~dpl_nas.errors.DplError`) is one sentence on stderr.
    """
    share_cores()
    keep_freed_memory()
    _print_anything()
    code = 0
    try:
        code = app(
            args=list(arguments) if arguments is not None else None,
            prog_name="dpl-nas",
            standalone_mode=False,
        )
    except DplError as error:
        _fail(str(error))
    except typer.Abort:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.errno not in _USERS_ERRNOS:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror}")
    except Exception as error:
        # Typer's usage errors are click's, which newer versions of it carry along privately.
        tell = getattr(error, "format_message", None)
        if tell is None:
            raise
        sentence = tell().rstrip(".")
        if not sentence:  # no subcommand was given: its help has been printed
            sys.exit(2)
        command = getattr(getattr(error, "ctx", None), "command_path", "dpl-nas")
        _fail(f"{sentence} (see {command} --help)")
    sys.exit(code or 0)


def _print_anything() -> None:
    """Names of tasks and folders may hold what the encoding of the terminal does not."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(sentence: str) -> NoReturn:
    sys.stderr.write(f"error: {shortened(' '.join(sentence.split()), 1500)}\n")
    sys.exit(2)
