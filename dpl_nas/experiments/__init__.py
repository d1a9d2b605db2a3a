"""All that nnictl starts or talks to: trials, tuners, results, export, workers."""

__all__: list[str] = []
