"""Bayesian optimisation around the best trials."""

from __future__ import annotations

from dpl_nas.config import BayesianSettings
from dpl_nas.space.fitting import count, distinct_sample
from dpl_nas.strategy.base import Strategy
from dpl_nas.strategy.children import try_children
from dpl_nas.strategy.search import Search

__all__ = ["Bayesian"]


class Bayesian(Strategy):
    """Children of the best trials, of which a Gaussian process of all trials promises most.

    What ``darts`` does after its shortlist, with random architectures in the place of the alphas:
    so it tells what these are worth. Mutations of the best trials, chosen by a surrogate, are the
    search of BANANAS (White et al. 2021, arXiv 1910.11858), whose surrogate is a network.
    """

    name = "bayesian"
    Settings = BayesianSettings
    settings: BayesianSettings

    def explore(self, search: Search) -> None:
        """Try random architectures, then children of the best as far as the budget goes."""
        size = count(search.space)
        started = min(self.settings.startup_trials, size)
        search.evaluate(distinct_sample(search.space, search.rng("bayesian"), started))
        try_children(search, size, guided=True)
