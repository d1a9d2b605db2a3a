"""The strategy file, and the configuration that decides the result of a run."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator

from dpl_nas.config.overrides import parse_overrides, put_all, typed_key
from dpl_nas.config.search import STRATEGIES, SearchSettings, UserSettings
from dpl_nas.config.training import TrainSettings
from dpl_nas.config.values import Classes, NotNegative, Positive
from dpl_nas.errors import ConfigError, StrategyError
from dpl_nas.io.arguments import checked
from dpl_nas.io.home import expand_home
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.presets import preset_path, read_yaml
from dpl_nas.io.validation import Frozen, Name, Number, PathText, validate
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Space, load_space

__all__ = [
    "EvaluateSettings",
    "MethodConfig",
    "Objective",
    "RunConfig",
    "StrategyConfig",
    "load_strategy",
    "resolve",
]

#: ``pareto``: search for the Pareto front of accuracy against context vectors.
Objective = Literal["accuracy", "pareto"]

#: A user's own strategy: package.module:Class.
_USERS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class EvaluateSettings(Frozen):
    """The final test, and the designs beside what was found.

    Attributes
    ----------
    uniform_length
        Length of the uniform design, by default 4. In a space without limits it is the manual
        design; in one with limits, it is trained beside it if a length is given.
    """

    batch_size: Positive = 100
    uniform_length: NotNegative | None = None


class MethodConfig(Frozen):
    """A method whose lengths by layer are searched, such as ``maple``.

    Attributes
    ----------
    name
        A name of :data:`dpl_nas.methods.METHODS`, or ``package.module:Class``.
    settings
        Settings of the method, put over its paper's.
    """

    name: Name
    settings: dict[str, Any] = Field(default_factory=dict)


class StrategyConfig(Frozen):
    """A strategy file: the search, and the training of what it finds.

    Attributes
    ----------
    strategy
        A name of :data:`~dpl_nas.config.search.STRATEGIES`, or ``package.module:Class``.
    budget
        Default budget of the search.
    max_failed
        Share of trials that may fail before the search stops.
    """

    name: Name
    strategy: str
    budget: SearchBudget | None = None
    objective: Objective = "accuracy"
    max_failed: Number = Field(default=0.5, ge=0, le=1)
    search: SerializeAsAny[SearchSettings] = Field(default_factory=dict, validate_default=True)
    train: TrainSettings = TrainSettings()

    @field_validator("strategy")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in STRATEGIES and _USERS.fullmatch(name) is None:
            raise ValueError(
                f"expected one of {', '.join(STRATEGIES)}, or package.module:Class for your own "
                "strategy"
            )
        return name

    @field_validator("search", mode="before")
    @classmethod
    def _of_its_strategy(cls, value: Any, info: ValidationInfo) -> Any:
        # An invalid strategy is absent here; its own error is reported.
        settings = cls.type_of_field("search", info.data)
        return value if isinstance(value, settings) else settings.model_validate(value)

    @classmethod
    def type_of_field(cls, field: str, data: Mapping[str, Any]) -> Any:
        """Return the settings class of the strategy in ``data``; ``None`` for other fields."""
        if field != "search":
            return None
        name = data.get("strategy")
        known = STRATEGIES.get(name) if isinstance(name, str) else None
        return UserSettings if known is None else known.settings


class RunConfig(Frozen):
    """Everything that decides the result of a run.

    Attributes
    ----------
    data
        Folder of the datasets, for a task such as ``coop/OxfordPets``.
    classes
        Classes of the task: ``all``, or its ``base`` or ``new`` half.
    method
        Method whose lengths are searched, and which is trained with what is found; ``None`` for
        context vectors alone.
    budget
        Budget of the search; the strategy's own by default.
    jobs
        Number of parallel trials.
    devices
        Number of GPUs, or of processes on the CPU, that share every batch.
    """

    task: PathText
    data: PathText | None = None
    classes: Classes = "all"
    space: Space
    strategy: StrategyConfig
    method: MethodConfig | None = Field(default=None, exclude_if=lambda value: value is None)
    shots: Positive = 16
    seed: NotNegative = 1
    budget: SearchBudget | None = None
    jobs: Positive = 1
    evaluate: EvaluateSettings = EvaluateSettings()
    device: str = "cpu"
    devices: Positive = 1

    @field_validator("method", mode="before")
    @classmethod
    def _by_its_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("task", "data")
    @classmethod
    def _at_home(cls, path: str | None) -> str | None:
        return path and expand_home(path)


@checked(StrategyError)
def load_strategy(name_or_path: AnyPath) -> StrategyConfig:
    """Load a packaged strategy by name, or one from a YAML file.

    Raises
    ------
    StrategyError
        If the strategy does not exist or is not valid.
    """
    path = preset_path("strategies", name_or_path, "strategy", StrategyError)
    data = {"name": path.stem, **read_yaml(path, "strategy", StrategyError)}
    return validate(StrategyConfig, data, f"strategy {name_or_path}", StrategyError)


@checked()
def resolve(
    task: AnyPath,
    space: AnyPath,
    strategy: AnyPath,
    overrides: Sequence[str] = (),
    **settings: Any,
) -> RunConfig:
    """Return the configuration of a run from names or paths, with ``KEY=VALUE`` overrides.

    Keys are paths such as ``search.epochs``, ``train.optimizer.lr``, ``space.towers.image``,
    ``evaluate.uniform_length`` or ``shots``; values are YAML.

    Raises
    ------
    SpaceError, StrategyError
        If the space or the strategy cannot be loaded.
    ConfigError
        If an override is malformed, unknown, or its value is not valid; or if a setting has two
        values.
    """
    given = {"task": task, **settings}
    given = {
        key: os.fspath(each) if isinstance(each, os.PathLike) else each
        for key, each in given.items()
        if each is not None
    }
    if isinstance(budget := given.get("budget"), SearchBudget):
        given["budget"] = budget.model_dump(mode="json", exclude_none=True)
    if isinstance(method := given.get("method"), str):
        given["method"] = {"name": method}
    data = {
        **copy.deepcopy(given),
        "space": load_space(space).model_dump(mode="json"),
        "strategy": load_strategy(strategy).model_dump(mode="json"),
    }
    put_all(data, parse_overrides(overrides), given)
    config = validate(RunConfig, data, "configuration", ConfigError, typed_key)
    _check_offered(config)
    return config


def _check_offered(config: RunConfig) -> None:
    """Raise an error if no tower offers the length of the uniform design, which was asked for."""
    length = config.evaluate.uniform_length
    if length is None:
        return
    if not any(length in part.lengths for part in config.space.towers.values()):
        raise ConfigError(
            f"evaluate.uniform_length must be one that space {config.space.name} offers "
            f"({config.space.describe_lengths()}), found {length}: give another"
        )
