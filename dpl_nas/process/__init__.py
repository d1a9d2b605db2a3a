"""Processes beside this one, and what they share: pools, threads, memory."""

__all__: list[str] = []
