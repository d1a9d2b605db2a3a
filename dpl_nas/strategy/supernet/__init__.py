"""The parts that all strategies with a supernet share."""

__all__: list[str] = []
