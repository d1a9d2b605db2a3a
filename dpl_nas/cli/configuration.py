"""The configuration that the options of a command stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from dpl_nas.config import RunConfig

__all__ = ["configure", "typed"]


def configure(
    task: str,
    space: str,
    strategy: str,
    overrides: Sequence[str] | None,
    budget: str | None = None,
    **settings: Any,
) -> RunConfig:
    """Resolve as :func:`dpl_nas.config.resolve` does, with a budget as it is typed.

    Raises
    ------
    DplError
        If something is unknown or not valid.
    """
    from dpl_nas.config import resolve
    from dpl_nas.search_budget import SearchBudget

    if budget is not None:
        settings["budget"] = SearchBudget.parse(budget)
    config = resolve(task, space, strategy, overrides or (), **settings)
    if config.method is None:
        return config
    # It needs torch, which is slow to import.
    from dpl_nas.methods import with_towers_of

    return with_towers_of(config)


def typed(context: typer.Context, **options: Any) -> dict[str, Any]:
    """Return the options that somebody typed: others have the default of the setting."""
    sources = {name: context.get_parameter_source(name) for name in options}
    return {
        name: value
        for name, value in options.items()
        if (source := sources[name]) is not None and source.name != "DEFAULT"
    }
