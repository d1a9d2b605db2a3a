"""The embedded default: a small CLIP pre-trained on rendered scenes, and its tasks."""

__all__: list[str] = []
