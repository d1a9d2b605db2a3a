"""Files, presets and validated values: atomic writes, and reads with clear errors."""

__all__: list[str] = []
