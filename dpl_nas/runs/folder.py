"""The folder of a run: whose it is, and that one process at a time works in it."""

from __future__ import annotations

import fcntl
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

from dpl_nas.config import RunConfig
from dpl_nas.errors import ConfigError, OutputError
from dpl_nas.files import write_json, write_text
from dpl_nas.presets import read_yaml
from dpl_nas.validation import validated

__all__ = ["open_folder"]

_CONFIG = "config.yml"
_VERSIONS = "versions.json"
_LOCK = ".lock"
#: What is written when a folder is claimed; with nothing else there, nothing was done yet.
_CLAIM = {_CONFIG, _VERSIONS}
_PACKAGES = ("dpl_nas", "torch", "torchvision", "open_clip_torch", "nni", "pytorch-lightning")


@contextmanager
def open_folder(folder: Path, config: RunConfig, resume: bool) -> Iterator[Path]:
    """Claim ``folder`` for a run of ``config`` while the context lasts.

    Raises
    ------
    OutputError
        If another process works in it, if it is not empty and ``resume`` is not asked for,
        or if what it holds was configured differently.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("w")
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                f"{folder} is in use by a run that is still going: wait, or use another folder"
            ) from None
        _claim(folder, config, resume)
        yield folder


def _claim(folder: Path, config: RunConfig, resume: bool) -> None:
    file = folder / _CONFIG
    # A killed run may have left temporary files.
    held = {path.name for path in folder.iterdir() if path.suffix != ".tmp"} - {_LOCK}
    # As when a setting turned out to be wrong: nothing was done yet, so it starts afresh.
    untouched = held <= _CLAIM
    if file.exists() and (resume or untouched):
        saved = validated(
            RunConfig, read_yaml(file, "configuration", ConfigError), str(file), ConfigError
        )
        different = [
            name for name in RunConfig.model_fields if getattr(saved, name) != getattr(config, name)
        ]
        if different and not untouched:
            raise OutputError(
                f"{folder} holds a run with another {', '.join(different)}: resume it with the "
                "same settings, or use another folder"
            )
        if not different:
            return
    if not untouched:
        hint = "go on with --resume, or use another folder" if file.exists() else "use another one"
        raise OutputError(f"{folder} is not empty: {hint}")
    write_json(folder / _VERSIONS, _versions())
    write_text(file, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
