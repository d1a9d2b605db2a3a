"""Strategies by their names."""

from __future__ import annotations

import importlib
from typing import Any

from dpl_nas.config import STRATEGIES, SearchSettings, StrategyConfig, load_strategy
from dpl_nas.errors import DplError, StrategyError
from dpl_nas.io.arguments import checked
from dpl_nas.io.classes import import_class
from dpl_nas.io.paths import AnyPath
from dpl_nas.strategy.base import Strategy

__all__ = ["make_strategy", "strategy_class"]


def strategy_class(name: str) -> type[Strategy]:
    """The strategy of this name.

    Raises
    ------
    StrategyError
        If the name is unknown; the message lists the known names.
    """
    if name not in STRATEGIES:
        raise StrategyError(f"unknown strategy {name!r}: give one of {', '.join(STRATEGIES)}")
    from dpl_nas.nni.quiet import quiet

    # The module is imported only when it is asked for: NNI takes seconds.
    with quiet():
        module = importlib.import_module(f"dpl_nas.strategy.{name}")
    found: type[Strategy] = getattr(module, STRATEGIES[name].class_name)
    return found


@checked(StrategyError)
def make_strategy(strategy: StrategyConfig | AnyPath) -> Strategy:
    """Make the strategy that ``--strategy`` stands for, with its settings and its budget.

    Parameters
    ----------
    strategy
        Packaged name or YAML file, or what :func:`dpl_nas.load_strategy` made of it.

    Raises
    ------
    StrategyError
        If there is no such strategy; or if a user's class cannot be imported or made, or is no
        strategy.
    """
    config = strategy if isinstance(strategy, StrategyConfig) else load_strategy(strategy)
    made = _make(config)
    if config.budget is not None:
        made.default_budget = config.budget
    return made


def _make(config: StrategyConfig) -> Strategy:
    if config.strategy in STRATEGIES:
        return strategy_class(config.strategy)(**config.search.model_dump(mode="json"))
    kind = _import(config.strategy)
    extra = dict(config.search.model_extra or {})
    common = {name: getattr(config.search, name) for name in SearchSettings.model_fields}
    try:
        if issubclass(kind, Strategy):
            made: Any = kind(**{k: v for k, v in common.items() if v is not None}, **extra)
            # Two classes of users may share a name.
            made.name = config.strategy
            return made  # type: ignore[no-any-return]
        made = kind(**extra)
    except DplError:
        raise
    except (Exception, SystemExit) as error:
        how = f"with the settings {', '.join(sorted(extra))}" if extra else "without settings"
        raise StrategyError(
            f"strategy {config.strategy} cannot be made {how}: {type(error).__name__}: {error}"
        ) from error
    from dpl_nas.strategy.foreign import from_nni

    return from_nni(made, SearchSettings(**common))


def _import(name: str) -> type[Any]:
    from dpl_nas.nni.quiet import quiet

    # NNI warns about the version of torch.
    with quiet():
        from nni.nas.strategy.base import Strategy as NniStrategy

        return import_class(name, (Strategy, NniStrategy), "strategy", StrategyError)
