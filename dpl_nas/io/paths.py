"""What a public function takes as a path."""

from __future__ import annotations

import os

__all__ = ["AnyPath"]

#: A path: its text, a :class:`pathlib.Path`, or whatever else knows its path in the file system.
AnyPath = str | os.PathLike[str]
