"""Classes of users, by the names that they give."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from dpl_nas.errors import DplError

__all__ = ["import_class"]


def import_class(name: str, bases: tuple[type, ...], what: str, error: type[DplError]) -> type[Any]:
    """Return the class ``package.module:Class``; its module's code runs.

    It is looked for as ``python -m`` does: a user's module lies beside their files.

    Parameters
    ----------
    bases
        It must be a subclass of one of these.
    what
        What it is, for messages, such as ``strategy``.
    error
        Class of the error.

    Raises
    ------
    DplError
        An ``error`` if it cannot be imported, or is something else.
    """
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as reason:
        raise error(
            f"{what} {name} cannot be imported ({type(reason).__name__}: {reason}): give "
            "package.module:Class, and run in the folder of the module or with it on PYTHONPATH"
        ) from reason
    if not inspect.isclass(found) or not issubclass(found, bases):
        wanted = " or ".join(f"{base.__module__}.{base.__name__}" for base in bases)
        raise error(f"{what} {name} should be a subclass of {wanted}: give such a class")
    return found
