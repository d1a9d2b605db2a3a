"""Experiments of ``nnictl``: trials, tuners, results, export and workers."""

__all__: list[str] = []
