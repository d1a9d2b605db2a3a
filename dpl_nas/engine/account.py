"""The spending of a search, and what its budget leaves."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from dpl_nas.engine.cost import Cost
from dpl_nas.engine.stops import StopReason
from dpl_nas.search_budget import SearchBudget

__all__ = ["Account"]


@dataclass
class Account:
    """The spending of one search.

    While a search is replayed, its clock shows the time at which the ledger's line was written.
    So a budget of seconds stops it at the same trial again.

    Attributes
    ----------
    budget
        Limits of the search; ``None`` for none.
    training_steps
        Training steps of a whole training, in which a budget of trials counts.
    spent
        Total cost; ``seconds`` adds up work.
    before
        Wall-clock seconds that earlier processes of the search have taken.
    reserved
        Steps that are kept for later.
    replayed
        Clock of the line that was replayed last; ``None`` once nothing is left to replay.
    """

    budget: SearchBudget | None
    training_steps: int
    spent: Cost = field(default_factory=Cost)
    before: float = 0.0
    reserved: int = 0
    replayed: float | None = None

    def __post_init__(self) -> None:
        self._started = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Wall-clock seconds of the search, over all resumed parts."""
        if self.replayed is not None:
            return self.replayed
        return self.before + time.perf_counter() - self._started

    def pay(self, cost: Cost) -> None:
        """Add a cost to the spending."""
        self.spent += cost

    def steps_left(self, waiting: int) -> float:
        """Steps that the budget still allows besides ``waiting`` ones; or infinity."""
        limits = [math.inf]
        if self.budget is not None and self.budget.steps is not None:
            limits.append(self.budget.steps)
        if self.budget is not None and self.budget.trials is not None:
            limits.append(self.budget.trials * self.training_steps)
        return min(limits) - self.spent.steps - self.reserved - waiting

    @property
    def out_of_time(self) -> bool:
        """Whether the seconds of the budget are used up."""
        limit = self.budget.seconds if self.budget is not None else None
        return limit is not None and self.elapsed >= limit

    @property
    def steps_reason(self) -> StopReason:
        """The limit that is reached when no steps are left for a trial."""
        counts_trials = self.budget is not None and self.budget.trials is not None
        return StopReason.TRIALS if counts_trials else StopReason.STEPS
