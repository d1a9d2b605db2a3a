"""A strategy file, and all that decides the result of a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, SerializeAsAny, Tag, create_model

from dpl_nas.config.overrides import parse_overrides, put
from dpl_nas.config.search import SETTINGS, SearchSettings, UserSettings
from dpl_nas.config.training import TrainSettings
from dpl_nas.config.values import NotNegative, Positive
from dpl_nas.errors import ConfigError, StrategyError
from dpl_nas.io.presets import preset_path, read_yaml
from dpl_nas.io.validation import Frozen, Name, validated
from dpl_nas.io.yaml_values import shown
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Space, load_space

__all__ = [
    "EvaluateSettings",
    "Objective",
    "RunConfig",
    "StrategyConfig",
    "load_strategy",
    "resolve",
]

#: ``pareto``: the front of accuracy against context vectors is searched for.
Objective = Literal["accuracy", "pareto"]

#: A strategy of a user: package.module:Class.
_USERS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class EvaluateSettings(Frozen):
    """The final test, and the manual design beside it."""

    batch_size: Positive = 100
    uniform_length: NotNegative = 4


class StrategyConfig(Frozen):
    """A strategy file: the search, and the training of what it finds.

    Attributes
    ----------
    strategy
        A name of :data:`~dpl_nas.config.search.SETTINGS`, or ``package.module:Class``.
    budget
        What the search may spend where nothing else is said.
    max_failed
        The share of trials that may fail before the search stops.
    """

    name: Name
    strategy: str
    budget: SearchBudget | None = None
    objective: Objective = "accuracy"
    max_failed: float = Field(default=0.5, ge=0, le=1)
    search: SerializeAsAny[SearchSettings] = SearchSettings()
    train: TrainSettings = TrainSettings()

    def __reduce__(self) -> tuple[Any, ...]:
        # Types that are made at import have no place where pickle would look for them.
        return _revived, (self.model_dump(mode="json"),)


def _revived(data: dict[str, Any]) -> StrategyConfig:
    return _strategy_type(data).model_validate(data)


def _variant(name: str, settings: type[SearchSettings]) -> type[StrategyConfig]:
    """A strategy file whose settings are known."""
    return create_model(
        f"StrategyConfig_{name}", __base__=StrategyConfig, search=(settings, settings())
    )


_VARIANTS = {name: _variant(name, settings) for name, settings in SETTINGS.items()}
_USER_VARIANT = _variant("user", UserSettings)


def _kind(data: Any) -> str:
    name = data.get("strategy") if isinstance(data, dict) else getattr(data, "strategy", None)
    return f"<{name}>" if isinstance(name, str) and name in _VARIANTS else "<user>"


_ANY: Any = Annotated[
    reduce(
        or_,
        [
            Annotated[variant, Tag(f"<{name}>")]
            for name, variant in {**_VARIANTS, "user": _USER_VARIANT}.items()
        ],
    ),
    Discriminator(_kind),
]


if TYPE_CHECKING:
    AnyStrategy = StrategyConfig
else:
    AnyStrategy = _ANY


class RunConfig(Frozen):
    """Everything that decides the result of a run.

    Attributes
    ----------
    budget
        What the search may spend; the strategy's own by default.
    jobs
        Trials side by side.
    devices
        GPUs, or processes on the CPU, that share every batch.
    """

    task: str = Field(min_length=1)
    space: Space
    strategy: AnyStrategy
    shots: Positive = 16
    seed: NotNegative = 1
    budget: SearchBudget | None = None
    jobs: Positive = 1
    evaluate: EvaluateSettings = EvaluateSettings()
    device: str = "cpu"
    devices: Positive = 1


def load_strategy(name_or_path: str | Path) -> StrategyConfig:
    """A packaged strategy by name, or one from a YAML file.

    Raises
    ------
    StrategyError
        If there is no such strategy or it is not valid.
    """
    path = preset_path("strategies", name_or_path, "strategy", StrategyError)
    data = {"name": path.stem, **read_yaml(path, "strategy", StrategyError)}
    return validated(_strategy_type(data), data, f"strategy {name_or_path}", StrategyError)


def _strategy_type(data: dict[str, Any]) -> type[StrategyConfig]:
    name = data.get("strategy")
    if isinstance(name, str) and name in _VARIANTS:
        return _VARIANTS[name]
    if isinstance(name, str) and _USERS.fullmatch(name):
        return _USER_VARIANT
    raise StrategyError(
        f"strategy: expected one of {', '.join(SETTINGS)}, or package.module:Class for one of "
        f"your own, found {shown(name)}"
    )


def resolve(
    task: str,
    space: str | Path,
    strategy: str | Path,
    overrides: Sequence[str] = (),
    **settings: Any,
) -> RunConfig:
    """The configuration of a run from names or paths, with ``KEY=VALUE`` overrides.

    Keys are paths such as ``search.epochs``, ``train.optimizer.lr``, ``space.towers.image``,
    ``evaluate.uniform_length`` or ``shots``; values are YAML.

    Raises
    ------
    SpaceError, StrategyError
        If the space or the strategy cannot be loaded.
    ConfigError
        If an override is malformed, unknown, or its value is not valid.
    """
    chosen = load_strategy(strategy).model_dump(mode="json")
    data: dict[str, Any] = {
        "task": task,
        "space": load_space(space).model_dump(mode="json"),
        "strategy": chosen,
        **settings,
    }
    for key, value in parse_overrides(overrides).items():
        put(data, key, value)
    return validated(RunConfig, data, "configuration", ConfigError)
