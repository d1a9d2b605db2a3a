"""What a bench of methods is of: a protocol, tasks, methods, shots and seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from dpl_nas.config import Classes, StrategyConfig, TrainSettings, load_strategy
from dpl_nas.errors import BenchError
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.validation import Frozen, PathText
from dpl_nas.io.work_folder import folder_name
from dpl_nas.methods import METHODS, Method, TowerMethod, make_method, method_class
from dpl_nas.methods.searched import Searched, as_searched
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Space

__all__ = ["BenchPlan", "Job", "Protocol", "TestSet"]

#: ``few-shot``: all classes of each task. ``base-to-new``: learn the first half of the classes, and
#: test that half and the other. ``cross-dataset``: learn the first task, and test all.
#: ``domain-generalization``: the same, with tasks that have classes of the first.
Protocol = Literal["few-shot", "base-to-new", "cross-dataset", "domain-generalization"]


#: Between a method and the strategy that searches its lengths.
_BY = "@"


class TestSet(Frozen):
    """Test images of a task, or of one half of its classes.

    Attributes
    ----------
    name
        What a table calls it.
    """

    __test__ = False

    name: str
    task: str
    classes: Classes = "all"


@dataclass(frozen=True)
class Job:
    """One cell of a bench: a method learns once, and is tested on some sets."""

    method: str
    task: str
    classes: Classes
    shots: int
    seed: int
    tests: tuple[TestSet, ...]

    __repr__ = short_repr

    @property
    def place(self) -> Path:
        """Where it is kept, below the folder of the bench."""
        parts = (f"{_safe(self.task)}-{self.shots}-shots", _safe(self.method), f"seed-{self.seed}")
        return Path("cells", *parts)

    def describe(self) -> str:
        """Return it in words."""
        return f"{self.method} on {self.task}, {self.shots} shots, seed {self.seed}"


class BenchPlan(Frozen):
    """A bench of methods.

    Attributes
    ----------
    tasks
        Tasks; the first is the one that is learned from where others are only tested.
    methods
        Names of methods: see :data:`dpl_nas.methods.METHODS`; or ``package.module:Class``. Of
        ``METHOD@STRATEGY``, a strategy searches the lengths in each cell, on its shots.
    settings
        Settings of methods by name, put over the paper's.
    recipe
        ``published``: each method has its paper's settings. ``problem``: those that learn in the
        towers are trained alike, with ``train``. ``tuned``: so, too, and a small search on the
        shots chooses the learning rate, or what other methods have in its place.
    budget
        Budget of each search, or its text such as ``10-trials``; by default that of its strategy.
    data
        Folder of the datasets, for ``coop/<dataset>``.
    space
        Space whose backbone is adapted, and in which lengths are searched.
    """

    error_class = BenchError

    protocol: Protocol = "few-shot"
    tasks: tuple[PathText, ...] = Field(min_length=1)
    methods: tuple[str, ...] = Field(min_length=1)
    shots: tuple[int, ...] = Field(default=(16,), min_length=1)
    seeds: tuple[int, ...] = Field(default=(1, 2, 3), min_length=1)
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    recipe: Literal["published", "problem", "tuned"] = "published"
    train: TrainSettings = TrainSettings()
    budget: SearchBudget | None = None
    data: PathText | None = None
    space: Space
    device: str = "cpu"

    @field_validator("tasks", "methods", "shots", "seeds")
    @classmethod
    def _each_once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        twice = [each for index, each in enumerate(values) if each in values[:index]]
        if twice:
            raise ValueError(f"expected each once, found {twice[0]} twice")
        return values

    @field_validator("budget", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return SearchBudget.parse(value) if isinstance(value, str) else value

    @field_validator("shots")
    @classmethod
    def _at_least_one(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if min(values) < 1:
            raise ValueError(f"expected 1 or more, found {min(values)}")
        return values

    @field_validator("seeds")
    @classmethod
    def _not_negative(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if min(values) < 0:
            raise ValueError(f"expected 0 or more, found {min(values)}")
        return values

    @model_validator(mode="after")
    def _fits(self) -> BenchPlan:
        if self._transfers and len(self.tasks) < 2:
            raise ValueError(
                f"{self.protocol} learns from the first task and tests others: give two or more"
            )
        unused = sorted(set(self.settings) - set(self.methods))
        if unused:
            raise ValueError(f"there are settings for {unused[0]}, which is not among the methods")
        places = [job.place for job in self.jobs()]
        same = [each for index, each in enumerate(places) if each in places[:index]]
        if same:
            raise ValueError(f"two cells would have the folder {same[0]}: use other names")
        return self

    @property
    def _transfers(self) -> bool:
        return self.protocol in ("cross-dataset", "domain-generalization")

    def method(self, name: str) -> Method:
        """Make a method with its settings.

        Raises
        ------
        ConfigError
            If it is unknown, or a setting is not valid.
        """
        settings = dict(self.settings.get(name, {}))
        own = name.partition(_BY)[0]
        if self.recipe != "published" and issubclass(method_class(own), TowerMethod):
            settings.setdefault("recipe", "problem")
        return make_method(own, **settings)

    def strategy(self, name: str) -> StrategyConfig | None:
        """Return the strategy that searches the lengths of a method; ``None`` if none does.

        Raises
        ------
        StrategyError
            If there is no such strategy.
        """
        _, by, strategy = name.partition(_BY)
        return load_strategy(strategy) if by else None

    def searched(self, name: str) -> Searched:
        """Return a method whose lengths are searched, which is trained with its own recipe.

        Raises
        ------
        ConfigError
            If it has no lengths to search.
        """
        return as_searched(self.method(name), own_recipe=True)

    def jobs(self) -> list[Job]:
        """Return all cells; an interrupted bench has run all methods equally often."""
        learned = self.tasks[:1] if self._transfers else self.tasks
        classes: Classes = "base" if self.protocol == "base-to-new" else "all"
        return [
            Job(method, task, classes, shots, seed, self._tests(task))
            for seed in self.seeds
            for shots in self.shots
            for task in learned
            for method in self.methods
        ]

    def _tests(self, task: str) -> tuple[TestSet, ...]:
        if self.protocol == "base-to-new":
            return (
                TestSet(name="base", task=task, classes="base"),
                TestSet(name="new", task=task, classes="new"),
            )
        if self._transfers:
            return tuple(TestSet(name=each, task=each) for each in self.tasks)
        return (TestSet(name="all", task=task),)

    def identity(self, job: Job) -> Mapping[str, Any]:
        """Return all that decides the result of a cell, as plain values."""
        return {
            "protocol": self.protocol,
            "method": job.method,
            "settings": self.method(job.method).model_dump(mode="json"),
            **self._identity_of_search(job.method),
            **({"tuned": True} if self.recipe == "tuned" else {}),
            "train": self.train.model_dump(mode="json"),
            "task": job.task,
            "data": self.data,
            "classes": job.classes,
            "shots": job.shots,
            "seed": job.seed,
            "tests": [each.model_dump(mode="json") for each in job.tests],
            "backbone": self.space.backbone.model_dump(mode="json"),
            "device": self.device,
        }

    def _identity_of_search(self, name: str) -> Mapping[str, Any]:
        strategy = self.strategy(name)
        if strategy is None:
            return {}
        return {
            "strategy": strategy.model_dump(mode="json", exclude={"train"}),
            "budget": self.budget and str(self.budget),
            "space": self.space.model_dump(mode="json"),
        }


def _safe(name: str) -> str:
    return name if name in METHODS else folder_name(name.strip("/"))
