"""Child processes and shared resources: pools, threads, memory."""

__all__: list[str] = []
