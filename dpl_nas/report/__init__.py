"""Pictures of what runs found, and how; of one run and of many beside each other."""

from __future__ import annotations

from dpl_nas.report.comparisons import plot_anytime, plot_length_maps, plot_ranks, plot_vectors
from dpl_nas.report.plots import plot_alphas, plot_architecture

__all__ = [
    "plot_alphas",
    "plot_anytime",
    "plot_architecture",
    "plot_length_maps",
    "plot_ranks",
    "plot_vectors",
]
