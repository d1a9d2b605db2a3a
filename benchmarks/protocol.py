"""The tasks that settings are chosen on, and those that are held out (protocol.yml)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pydantic import model_validator

from dpl_nas.errors import ConfigError
from dpl_nas.io.validation import Frozen, validate
from dpl_nas.io.yaml_values import parse_yaml

__all__ = ["Protocol", "load_protocol"]

_FILE = Path(__file__).with_name("protocol.yml")
#: Besides mirror and squeezed, which settings were chosen on before.
_MOST = 6


class Protocol(Frozen):
    """Names of the development tasks, and of the held-out tasks."""

    development: tuple[str, ...]
    held_out: tuple[str, ...]

    @model_validator(mode="after")
    def _apart(self) -> Protocol:
        both = set(self.development) & set(self.held_out)
        if both:
            raise ValueError(f"expected no task twice, found {', '.join(sorted(both))}")
        if len(self.development) > _MOST:
            raise ValueError(f"expected at most {_MOST} development tasks")
        return self

    def refuse_held_out(self, parser: argparse.ArgumentParser, tasks: Sequence[str]) -> None:
        """End a program that is about to choose settings on held-out tasks."""
        if refused := set(tasks) & set(self.held_out):
            told = ", ".join(sorted(refused))
            parser.error(f"no setting is chosen on held-out tasks: leave out {told}")


def load_protocol() -> Protocol:
    """Read protocol.yml."""
    return validate(Protocol, parse_yaml(_FILE.read_text()), _FILE.name, ConfigError)
