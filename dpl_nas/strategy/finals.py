"""The finals of a search: its best trials once more, on the other half of the shots.

The best of many trials on the same few validation images is partly the luckiest. So the best ones
are trained on the half of the shots that validated them, and validated on the other; what does best
on both halves is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from dpl_nas.engine import Cost, Evaluation, Outcome, TrialEngine, TrialSettings, whole_trials
from dpl_nas.observer import Observer, Stage
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Architecture

__all__ = ["Finals", "joined"]

#: The finals may take this share of the budget.
_SHARE = 0.2


@dataclass(frozen=True)
class Finals:
    """The finals of one search.

    Attributes
    ----------
    settings
        A trial on the halves of the shots in exchange.
    finalists
        Number of trials, at most; 0 for no finals.
    """

    settings: TrialSettings
    finalists: int

    @classmethod
    def of(cls, engine: TrialEngine, finalists: int) -> Finals:
        """Plan the finals of a search that has not spent anything yet.

        There are none where the shots are not split in halves, and no more than a fifth of the
        budget pays for.
        """
        trials = engine.settings
        exchanged = replace(trials, exchanged=True)
        if not finalists or not trials.has_halves:
            return cls(exchanged, 0)
        if engine.steps_left < math.inf:
            steps = exchanged.cost().steps
            finalists = min(finalists, int(_SHARE * engine.steps_left // steps))
        # One alone has nobody to be compared with.
        return cls(exchanged, finalists if finalists > 1 else 0)

    @cached_property
    def cost(self) -> Cost:
        """Cost of each."""
        return self.settings.cost()

    @property
    def steps(self) -> int:
        """Steps to keep for them."""
        return self.finalists and self.finalists * self.cost.steps

    def play(
        self,
        engine: TrialEngine,
        kept: Sequence[Collection[Architecture]],
        folder: Path | None,
        jobs: int,
        observer: Observer | None,
    ) -> tuple[Evaluation, ...]:
        """Return the finalists on the images of both halves, the best first; none if all fail.

        Parameters
        ----------
        engine
            Engine of the search, which is over; it is charged for the finals.
        kept
            Groups of architectures of which the best trial is a finalist in any case.
        folder
            Folder of the finals' own ledger.
        """
        trials = list(whole_trials(engine.evaluations))
        known = [next((e for e in trials if e.architecture in group), None) for group in kept]
        ranked = sorted(trials, key=lambda each: each not in known)[: self.finalists]
        chosen = [each for each in trials if each in ranked]
        if len(chosen) < 2:
            return ()
        with TrialEngine(
            self.settings,
            # Only so that progress has an end.
            SearchBudget(steps=self.steps),
            folder=folder,
            jobs=jobs,
            max_failed=1.0,
            stage=Stage.FINALS,
            observer=observer,
        ) as finals:
            again = finals.evaluate([each.architecture for each in chosen])
            spent = finals.spent
        engine.charge("finals", spent)
        played = [
            replace(
                first,
                outcome=joined(first.outcome, other.outcome),
                cost=first.cost + other.cost,
                spent=engine.spent,
            )
            for first, other in zip(chosen, again, strict=True)
            if first.outcome is not None and other.outcome is not None
        ]
        return whole_trials(played)


def joined(one: Outcome, other: Outcome) -> Outcome:
    """Return the outcome on the images of both."""
    images = one.images + other.images
    return Outcome(
        (one.images * one.accuracy + other.images * other.accuracy) / images,
        (one.images * one.loss + other.images * other.loss) / images,
        images,
        one.right + other.right,
        one.losses + other.losses,
    )
