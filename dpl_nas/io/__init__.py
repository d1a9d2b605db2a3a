"""Files, presets and checked values: whole or not at all, and read with a clear complaint."""

__all__: list[str] = []
