"""Pruning of context vectors by saliency (ADAPT, Huang et al. 2026)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dpl_nas.config import AdaptSettings
from dpl_nas.engine import Cost, StopReason
from dpl_nas.observer import Stage
from dpl_nas.space import Architecture, Space, fitting
from dpl_nas.strategy.base import Found, Strategy
from dpl_nas.strategy.search import Search
from dpl_nas.strategy.shortlist import draw_shortlist
from dpl_nas.strategy.supernet.images import Supernet
from dpl_nas.strategy.supernet.salient import SalientContext, SalientSupernet

__all__ = ["Adapt", "pruned"]


class Adapt(Strategy):
    """Pruning by saliency (Huang et al., "ADAPT: Adaptive Prompt Tuning ...", TMLR 2026).

    All layers begin with the longest length of the space, beyond its limits. While they are
    trained, the least salient vectors of all layers are taken away in stages, until the rest fits.

    Here, unlike there, what is left is projected onto the lengths on offer and onto all limits;
    the pruned architecture is trained afresh, as a trial of every strategy; and there is no
    angular distillation, as the loss of the search is that of all supernets.
    """

    name = "adapt"
    Settings = AdaptSettings
    plans = True
    stage = Stage.SHORTLIST

    settings: AdaptSettings

    def explore(self, search: Search) -> Found | None:
        """Train and prune, then train what is left.

        Raises
        ------
        StrategyError
            If the budget does not cover one epoch of the pruning.
        """
        goal = fitting.bound_vectors(search.space, self.settings.keep)
        longest = {
            label: search.space.towers[tower].lengths[-1] for label, tower, _ in goal.labels()
        }
        if fitting.fits(goal, longest):
            search.evaluate([search.space.architecture(longest)])
            return None
        supernet = Supernet(search, self.settings)
        cost = Cost(steps=supernet.steps_an_epoch, images=len(supernet.training))
        epochs = supernet.affordable_epochs(
            lambda _: cost.steps, supernet.reserve(self.settings.shortlist)
        )
        settings = self.settings.model_copy(update={"epochs": epochs})
        model = SalientSupernet(search, supernet, settings, lambda _: cost)
        left = _shares_left(settings)

        def prune(done: int) -> None:
            if done not in left:
                return
            kept = pruned(fitting.relax(goal, left[done]), model.contexts).by_label()
            for label, context in model.contexts.items():
                context.drop(context.count - kept[label], context.saliency)
                # The last sums say what else to try.
                if done < epochs:
                    context.forget()

        model.train(prune)
        choice = search.space.architecture(model.lengths)
        scores = _scores(goal, model.contexts)
        found = search.evaluate(draw_shortlist(search, choice, scores, settings.shortlist))
        stopped_by = StopReason.EPOCHS if epochs == self.settings.epochs else None
        return Found(None if found else choice, stopped_by=stopped_by)


def _shares_left(settings: AdaptSettings) -> dict[int, float]:
    """The share of the pruning that is left after each stage, by the epochs that are complete."""
    stages = min(settings.stages, settings.epochs)
    return {
        settings.epochs * stage // stages: (stages - stage) / stages
        for stage in range(1, stages + 1)
    }


def pruned(space: Space, contexts: Mapping[str, SalientContext]) -> Architecture:
    """The architecture of the space that keeps the most salient of the vectors in use."""
    return fitting.project(space, _scores(space, contexts))


def _scores(space: Space, contexts: Mapping[str, SalientContext]) -> dict[str, Sequence[float]]:
    """Scores of the lengths: the saliency that each keeps, in units of the mean of a vector.

    A length beyond the vectors in use keeps no more than they have, so it is not chosen.
    """
    saliencies = {
        label: (context.saliency * context.used).sort(descending=True).values.tolist()
        for label, context in contexts.items()
    }
    everything = math.fsum(math.fsum(each) for each in saliencies.values())
    unit = everything / max(1, sum(context.count for context in contexts.values())) or 1.0
    return {
        label: [
            math.fsum(saliencies[label][:length]) / unit for length in space.towers[tower].lengths
        ]
        for label, tower, _ in space.labels()
    }
