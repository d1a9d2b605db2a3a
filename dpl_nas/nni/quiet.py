"""NNI and Lightning without their log messages, which are not about the user's run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from dpl_nas.process.notes import let_notes_through

__all__ = ["quiet"]

_LOGGERS = ("nni", "pytorch_lightning", "lightning", "lightning.pytorch")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence NNI and Lightning, and restore their logging afterwards.

    Their errors reach the caller as exceptions, which say more. NNI logs to stdout, where
    ``--json`` promises one JSON object and nothing else.
    """
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    try:
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            let_notes_through()
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
