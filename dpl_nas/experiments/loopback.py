"""NNI's server kept on 127.0.0.1: it has no password, and can start commands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["loopback_environment", "node_options", "preload_file"]


def preload_file() -> Path:
    """The script for Node that makes servers listen on 127.0.0.1 only."""
    return Path(__file__).with_name("loopback.cjs")


def node_options(options: str = "") -> str:
    """The value of ``NODE_OPTIONS``: ``options``, then the preload."""
    path = str(preload_file()).replace("\\", "\\\\").replace('"', '\\"')
    wanted = f'--require "{path}"'
    return options if wanted in options else f"{options} {wanted}".strip()


def loopback_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which NNI's server is reachable from this machine only."""
    result = dict(os.environ if environment is None else environment)
    result["NODE_OPTIONS"] = node_options(result.get("NODE_OPTIONS", ""))
    return result
