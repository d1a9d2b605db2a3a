"""What can be configured: one frozen value for the search, the training and the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from dpl_nas.errors import ConfigError, StrategyError
from dpl_nas.presets import preset_path, read_yaml
from dpl_nas.space import Space, load_space
from dpl_nas.tasks.task import Augmentation
from dpl_nas.validation import Frozen, validated
from dpl_nas.yaml_values import NotYamlError, parse_yaml, shown

__all__ = [
    "AlphaSettings",
    "DartsSettings",
    "Distillation",
    "EarlyStop",
    "EvaluateSettings",
    "InitSettings",
    "OptimizerSettings",
    "PromptInit",
    "RunConfig",
    "StrategyConfig",
    "TrainSettings",
    "load_strategy",
    "parse_overrides",
    "resolve",
]


#: What has options of its own, and a setting of each for people to see.
_CHOSEN = {"space": "space.towers.image.lengths", "strategy": "search.epochs"}


def _strict_int(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("expected a whole number")
    return value


Whole = Annotated[int, BeforeValidator(_strict_int)]
Positive = Annotated[Whole, Field(ge=1)]
NotNegative = Annotated[Whole, Field(ge=0)]
#: Learning rates and the like: more overflows in the optimizers of torch.
Size = Annotated[float, Field(gt=0, le=1e6)]
SizeOrZero = Annotated[float, Field(ge=0, le=1e6)]
Beta = Annotated[float, Field(ge=0, lt=1)]
#: Which captions stand for a class: the task's template, or the mean token embedding of
#: its template ensemble (METHOD of the paper's released code).
TextTemplate = Literal["task", "mean_embedding"]


class InitSettings(Frozen):
    """How context vectors start: normal with sd ``scale``, or uniform on [0, ``scale``)."""

    distribution: Literal["normal", "uniform"] = "normal"
    scale: Size = 0.02


class PromptInit(Frozen):
    """The start of each tower's context vectors."""

    image: InitSettings = InitSettings()
    text: InitSettings = InitSettings()


class OptimizerSettings(Frozen):
    """An optimizer of context vectors and its learning-rate schedule, stepped by epoch.

    ``schedule: cosine`` decays to 0 over the epochs; the first ``warmup_epochs`` run at the
    constant rate ``warmup_lr``.
    """

    name: Literal["sgd", "adam", "adamw"] = "adam"
    lr: Size = 3e-3
    momentum: Beta = 0.9
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    weight_decay: SizeOrZero = 0.0
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup_epochs: NotNegative = 0
    warmup_lr: Size = 1e-5


class AlphaSettings(Frozen):
    """Adam on the alphas, which start as ``init_sd`` * randn."""

    init_sd: SizeOrZero = 1e-3
    lr: Size = 3.5e-3
    betas: tuple[Beta, Beta] = (0.5, 0.999)
    weight_decay: SizeOrZero = 0.0


class EarlyStop(Frozen):
    """Stop when argmax(alpha) of every layer has not changed for ``patience`` epochs.

    Never before ``min_epochs``, and only while the mean entropy of softmax(alpha) is at most
    ``max_entropy`` (as a share of log(candidates), 1 = undecided).
    """

    patience: Positive = 10
    min_epochs: NotNegative = 0
    max_entropy: float = Field(default=1.0, ge=0, le=1)


class DartsSettings(Frozen):
    """First-order DARTS over context lengths.

    ``validation: split`` takes the validation images out of the stated shots
    (``validation_shots`` a class, by default half of them); ``extra`` draws
    ``validation_shots`` (by default min(shots, 4)) more a class, as published, so that the
    search sees more labels than the stated shots. One step = one alpha step on a validation
    batch, then one prompt step on a training batch.
    """

    epochs: Positive = 40
    batch_size: Positive = 16
    validation_batch_size: Positive = 32
    validation: Literal["split", "extra"] = "split"
    validation_shots: Positive | None = None
    warmup_epochs: NotNegative = 0
    prompts: OptimizerSettings = OptimizerSettings()
    alphas: AlphaSettings = AlphaSettings()
    init: PromptInit = PromptInit()
    template: TextTemplate = "task"
    augmentation: Augmentation | Literal["task"] = "task"
    early_stop: EarlyStop | None = None


class Distillation(Frozen):
    """``weight`` * KL(zero-shot teacher || prompted student), at ``temperature``.

    The teacher's class embedding is the normalised mean over all of the task's templates.
    """

    weight: SizeOrZero = 0.0
    temperature: Size = 1.0


class TrainSettings(Frozen):
    """Few-shot training of the context vectors of one architecture."""

    epochs: Positive = 40
    batch_size: Positive = 16
    optimizer: OptimizerSettings = OptimizerSettings()
    init: PromptInit = PromptInit()
    template: TextTemplate = "task"
    augmentation: Augmentation | Literal["task"] = "task"
    distillation: Distillation = Distillation()


class EvaluateSettings(Frozen):
    """The final test, and the manual design beside it."""

    batch_size: Positive = 100
    uniform_length: NotNegative = 4


class StrategyConfig(Frozen):
    """A strategy file: the search, and the training of what it finds."""

    name: str = Field(min_length=1)
    strategy: Literal["darts"]
    search: DartsSettings = DartsSettings()
    train: TrainSettings = TrainSettings()


class RunConfig(Frozen):
    """Everything that decides the result of a run."""

    task: str = Field(min_length=1)
    space: Space
    strategy: StrategyConfig
    shots: Positive = 16
    seed: NotNegative = 1
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
    return validated(StrategyConfig, data, f"strategy {name_or_path}", StrategyError)


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
        _put(data, key, value)
    return validated(RunConfig, data, "configuration", ConfigError)


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """Values by key from ``KEY=VALUE`` texts, whose values are YAML.

    Raises
    ------
    ConfigError
        If one is malformed.
    """
    values = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise ConfigError(f"expected KEY=VALUE, found '{override}'")
        if not all(key.split(".")):
            raise ConfigError(
                f"expected KEY=VALUE with a KEY of names joined by single dots, found '{override}'"
            )
        try:
            values[key] = parse_yaml(text)
        except NotYamlError as problem:
            raise ConfigError(f"the value of {key} is not valid YAML: {text!r:.60}") from problem
    return values


def _put(data: dict[str, Any], key: str, value: Any) -> None:
    """Set ``a.b.c`` in nested mappings; the settings of the strategy need no prefix."""
    parts = key.split(".")
    if parts[0] in ("search", "train"):
        parts.insert(0, "strategy")
    if key in _CHOSEN and not isinstance(value, Mapping):
        raise ConfigError(
            f"{key} holds settings, found {key}={shown(value)}: choose another {key} with "
            f"--{key}, or set keys such as {_CHOSEN[key]}"
        )
    place: Any = data
    for part in parts[:-1]:
        child = place.get(part)
        if child is None:
            child = place[part] = {}
        if not isinstance(child, Mapping):
            raise ConfigError(f"unknown key {key}: {part} has no settings of its own")
        place = child
    place[parts[-1]] = value
