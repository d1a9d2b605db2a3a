"""What the strategies that train a supernet share."""

__all__: list[str] = []
