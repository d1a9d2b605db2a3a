"""The check that new processes can import the running script, which they do first."""

from __future__ import annotations

import ast
import multiprocessing
import sys
from itertools import pairwise
from pathlib import Path
from types import FrameType

from dpl_nas.errors import ConfigError

__all__ = ["check_main_guard"]


def check_main_guard() -> None:
    """Raise an error if a script without the guard calls this, at whatever depth.

    Raises
    ------
    ConfigError
        If the statement of the main module that runs now would also run in each new process.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # This is a new process that runs the script again; its parent could not tell.
        raise ConfigError(_told("the script"))
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    # Input at a prompt is not imported again.
    line = _line_of(vars(main)) if main is not None and file is not None else None
    if file is None or line is None:
        return
    try:
        body = ast.parse(Path(file).read_bytes()).body
    except (OSError, ValueError, SyntaxError):
        return
    if not _guarded(body, line):
        raise ConfigError(_told(f"{Path(file).name}, line {line},"))


def _told(where: str) -> str:
    return (
        f"each new process imports the running script, so {where} would start the work again: put "
        'the work under if __name__ == "__main__": or set jobs=1'
    )


def _line_of(names: dict[str, object]) -> int | None:
    """Return the line of the module with these ``names`` that runs now in this thread."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - what inspect uses
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals is names:
            return frame.f_lineno
        frame = frame.f_back
    return None


def _guarded(body: list[ast.stmt], line: int) -> bool:
    """Return whether the statement at ``line`` depends on the name of the module."""
    for statement, following in pairwise([*body, None]):
        if statement is None or not isinstance(statement, ast.If) or not _asks(statement.test):
            continue
        if statement.lineno <= line <= (statement.end_lineno or statement.lineno):
            return True
        # Or the script exits if it is not the main module.
        leaves = isinstance(statement.body[-1], (ast.Raise, ast.Expr)) and _negate(statement.test)
        if leaves and following is not None and following.lineno <= line:
            return True
    return False


def _asks(test: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(test))


def _negate(test: ast.expr) -> bool:
    return any(isinstance(node, ast.NotEq) for node in ast.walk(test))
