"""What the architectures of a search are lengths of: context vectors, or a method's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from dpl_nas.config import SearchSettings, SupernetSettings
from dpl_nas.errors import StrategyError
from dpl_nas.io.paths import AnyPath
from dpl_nas.observer import Observer
from dpl_nas.space import Architecture
from dpl_nas.training.evaluation import Scorer

if TYPE_CHECKING:
    from dpl_nas.training.problem import Problem

__all__ = ["ArchitectureTraining", "SearchedMethod", "check_supernet"]


class ArchitectureTraining(Protocol):
    """The shared part of trainings of many architectures on the same images."""

    @property
    def images_an_epoch(self) -> int:
        """Images that are trained on, each once."""

    @property
    def stack_size(self) -> int:
        """How many architectures to train side by side."""

    def scorer_of(
        self,
        architecture: Architecture,
        *,
        epochs: int | None = None,
        state: AnyPath | None = None,
        observer: Observer | None = None,
        stage: str = ...,
    ) -> Scorer:
        """Train ``architecture``, and return what answers for images.

        Parameters
        ----------
        epochs
            Stop after so many; schedules go by the recipe's own number.
        state
            File that is written after every epoch. If it exists, training goes on from it.
        """

    def scorers_of(
        self, architectures: Sequence[Architecture], *, epochs: int | None = None
    ) -> Sequence[Scorer]:
        """Train several side by side, each as it is alone, but for rounding."""


class SearchedMethod(Protocol):
    """A method whose lengths by layer are searched in the place of plain context vectors."""

    @property
    def title(self) -> str:
        """Name as people write it."""

    @property
    def mixes(self) -> bool:
        """Whether lengths are of vectors that a layer attends to, which a supernet can mix."""

    def training(self, problem: Problem, rows: Sequence[int]) -> ArchitectureTraining:
        """Return the trainings on these images of the task's pool."""

    def as_published(self, problem: Problem) -> tuple[Scorer, Mapping[str, Sequence[int]]]:
        """Train it with its paper's lengths, and the recipe of the problem.

        Returns
        -------
        tuple
            What answers for images, and the lengths of the searched layers of each tower.
        """

    def identity(self) -> Mapping[str, Any]:
        """Return all that decides what it learns, as plain values."""


def check_supernet(strategy: str, settings: SearchSettings, method: SearchedMethod | None) -> None:
    """Raise an error if a strategy has a supernet of vectors, and the method has none.

    Raises
    ------
    StrategyError
        If that is so.
    """
    if method is None or method.mixes or not isinstance(settings, SupernetSettings):
        return
    raise StrategyError(
        f"strategy {strategy} mixes context vectors in a supernet, and {method.title} has none: "
        "use a strategy of trials, such as bayesian, evolution or random"
    )
