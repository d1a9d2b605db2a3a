"""Pictures of what a run found, and how."""

from __future__ import annotations

from dpl_nas.report.plots import plot_alphas, plot_architecture

__all__ = ["plot_alphas", "plot_architecture"]
