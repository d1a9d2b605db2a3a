"""Architectures within the limits of a space: counted, drawn, varied and projected exactly."""

from __future__ import annotations

from dpl_nas.space.fitting.bounds import bound_vectors, relax
from dpl_nas.space.fitting.designs import even_design, fits, portfolio
from dpl_nas.space.fitting.draws import count, distinct, distinct_sample, enumerate_all, nth, sample
from dpl_nas.space.fitting.projection import project
from dpl_nas.space.fitting.variation import crossover, fill_run, mutate, offspring
from dpl_nas.space.fitting.weighted import sample_weighted, weighted_draws

__all__ = [
    "bound_vectors",
    "count",
    "crossover",
    "distinct",
    "distinct_sample",
    "enumerate_all",
    "even_design",
    "fill_run",
    "fits",
    "mutate",
    "nth",
    "offspring",
    "portfolio",
    "project",
    "relax",
    "sample",
    "sample_weighted",
    "weighted_draws",
]
