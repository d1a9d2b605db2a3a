"""A small causal language model of WordNet's glosses, and its tasks of texts."""

__all__: list[str] = []
