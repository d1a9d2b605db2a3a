"""Searches by those strategies of NNI that train one architecture after another."""

from __future__ import annotations

from typing import Any

from nni.mutable import SampleValidationError
from nni.nas.space import RawFormatModelSpace
from nni.nas.strategy.base import Strategy as NniStrategyBase

from dpl_nas.errors import StrategyError
from dpl_nas.nni.engine import TrialExecutionEngine
from dpl_nas.nni.model_space import PromptSpace
from dpl_nas.nni.quiet import quiet
from dpl_nas.seeds import derive_short_seed
from dpl_nas.strategy.search import Search

__all__ = ["nni_seed", "run_nni"]


def run_nni(strategy: NniStrategyBase, search: Search, *, ahead: bool = False) -> None:
    """Run ``search`` by a strategy of NNI that trains architectures one by one.

    Parameters
    ----------
    ahead
        Whether what it asks for does not depend on results.

    Raises
    ------
    StrategyError
        If the strategy asks for an architecture that does not fit, as NNI's tuners do.
    """
    engine = TrialExecutionEngine(search.engine, search.reward, ahead=ahead)
    with quiet():
        # The vectors of the model are never used: the trials train the architectures.
        space = _Architectures(PromptSpace(search.space, search.backbone), None)
        try:
            strategy(space, engine)
        except SampleValidationError as error:
            raise StrategyError(
                f"{type(strategy).__name__} asked for an architecture that does not fit space "
                f"{search.space.name} ({' '.join(str(error).split()):.200}): use a strategy that "
                "keeps to limits, or a space without limits"
            ) from error
        engine.wait_models()


class _Architectures(RawFormatModelSpace):  # type: ignore[misc]
    """A model space with a copy of each sample: a grid of NNI changes one dict for all models."""

    def freeze(self, sample: Any) -> RawFormatModelSpace:
        return super().freeze(dict(sample))


def nni_seed(search: Search, name: str) -> int:
    """A seed for one purpose of a search that NNI and numpy accept."""
    return derive_short_seed(search.seed, name)
