"""The configuration that the options of a command stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpl_nas.config import RunConfig

__all__ = ["configure"]


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

    spent = SearchBudget.parse(budget) if budget else None
    return resolve(task, space, strategy, overrides or (), budget=spent, **settings)
