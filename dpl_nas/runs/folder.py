"""The folder of a run: it belongs to one run, and one process at a time works in it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dpl_nas.config import RunConfig
from dpl_nas.engine.ledger import read_ledger
from dpl_nas.errors import CheckpointError, ConfigError, DplError, OutputError, shorten
from dpl_nas.io import run_files
from dpl_nas.io.files import is_regular, names_in, read_sealed, temporary_of, write_json
from dpl_nas.io.locks import claim
from dpl_nas.io.presets import read_yaml
from dpl_nas.io.sealed_yaml import read_sealed_yaml, write_sealed_yaml
from dpl_nas.io.validation import validate
from dpl_nas.io.versions import software_versions
from dpl_nas.process.threads import count_threads, tell_other_threads

__all__ = ["open_folder", "saved_config"]

#: Files that are written when a folder is claimed; with these alone, nothing was done yet.
_CLAIM = {run_files.CONFIG, run_files.DATA, run_files.VERSIONS}
#: All files that a run writes, by folder; a run has no other folders.
_OWN = {
    ".": (
        *_CLAIM,
        run_files.ALPHAS_PLOT,
        run_files.ARCHITECTURE,
        run_files.ARCHITECTURE_PLOT,
        run_files.EVALUATIONS,
        run_files.LEARNED,
        run_files.LEDGER,
        run_files.LOCK,
        run_files.PROMPTS,
        run_files.RECORDS,
        run_files.RESULT,
        run_files.SEARCH,
        run_files.SEARCH_STATE,
        run_files.SECONDS,
        run_files.TRAIN_STATE,
        run_files.TRIALS_PLOT,
    ),
    # Before the folder that it lies in, which is removed after it.
    f"{run_files.MANUAL}/{run_files.FINALS}": (run_files.LEDGER,),
    run_files.MANUAL: (
        run_files.ARCHITECTURE,
        run_files.EVALUATIONS,
        run_files.LEARNED,
        run_files.LEDGER,
        run_files.PROMPTS,
        run_files.TRAIN_STATE,
    ),
    run_files.UNIFORM: (run_files.LEARNED, run_files.PROMPTS, run_files.TRAIN_STATE),
    run_files.TRIALS: ("*.state",),
    run_files.FINALS: (run_files.LEDGER,),
    run_files.TENSORBOARD: ("events.out.tfevents.*",),
}
_PACKAGES = ("dpl_nas", "torch", "torchvision", "open_clip_torch", "nni", "pytorch-lightning")


@contextmanager
def open_folder(
    folder: Path, config: RunConfig, resume: bool, *, overwrite: bool = False
) -> Iterator[Path]:
    """Claim ``folder`` for a run of ``config`` while the context lasts.

    ``overwrite`` first removes a run in the folder; with ``resume`` it has no effect. If the run
    is refused before anything was done, nothing is left of it.

    Raises
    ------
    OutputError
        If another process works in it, if it is not empty and neither ``resume`` nor
        ``overwrite`` is asked for, if what it holds was configured differently, or if it is to
        be overwritten and holds anything that a run does not write.
    """
    overwrite = overwrite and not resume
    try:
        # TensorBoard cannot write to folders of other names.
        str(folder).encode()
    except UnicodeEncodeError:
        raise OutputError(
            f"the name {str(folder)!r} is not UTF-8: give a folder with another name"
        ) from None
    try:
        made = not os.path.lexists(folder)
        if not made:
            _check_is_folder(folder)
            # Somebody else's folder is left as it is, without a lock.
            if not os.path.lexists(folder / run_files.LOCK):
                _check_unlocked(folder, overwrite)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error
    with claim(
        folder / run_files.LOCK,
        f"{folder} is in use by a run that is still going: wait, or use another folder",
    ):
        if overwrite:
            _clear(folder)
        _check_links(folder)
        _claim(folder, config, resume)
        # Only now it is certain that the folder holds a run and nothing else.
        _remove_temporaries(folder)
        with _undone_if_refused(folder, made):
            yield folder


def _check_is_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file or a broken link: give a folder")


def _check_unlocked(folder: Path, overwrite: bool) -> None:
    """Complain about a folder in which no run has ever worked."""
    if overwrite:
        _check_own(folder)
    elif os.path.lexists(folder / run_files.CONFIG):
        saved_config(folder)
    else:
        _check_empty(folder)


def _check_links(folder: Path) -> None:
    """Raise an error if a folder inside ``folder`` that a run writes to is a link."""
    for name in _OWN:
        if name != "." and (folder / name).is_symlink():
            raise OutputError(
                f"{folder / name} is a link, and a run writes only inside its own folder: use "
                "another folder"
            )


@contextmanager
def _undone_if_refused(folder: Path, made: bool) -> Iterator[None]:
    """Leave nothing behind if input is found to be bad late, such as a grid that is too large."""
    try:
        yield
    except DplError:
        if _nothing_done(folder):
            _clear(folder)
            if made:
                (folder / run_files.LOCK).unlink()
                with suppress(OSError):
                    folder.rmdir()
        raise


def _clear(folder: Path) -> None:
    """Remove a run; the folder and its lock stay, so that no other process can claim it."""
    _check_own(folder)
    try:
        for name in _OWN:
            below = folder / name
            if name != "." and below.is_dir():
                for path in below.iterdir():
                    path.unlink()
                below.rmdir()
        # The configuration is removed last: after an interruption the rest is still a run.
        for path in sorted(folder.iterdir(), key=lambda path: path.name == run_files.CONFIG):
            if path.name != run_files.LOCK:
                path.unlink()
    except OSError as error:
        raise OutputError(f"cannot remove the run in {folder}: {error.strerror}") from error


def _check_own(folder: Path) -> None:
    """Raise an error unless a run has written everything in ``folder``."""
    try:
        foreign = _foreign(folder)
    except OSError as error:
        raise OutputError(f"cannot read {folder}: {error.strerror}") from error
    if foreign:
        raise OutputError(
            f"--overwrite removes only what a run has written, found {shorten(min(foreign))} in "
            f"{folder}: move it away, or use another folder"
        )
    if not _held(folder):
        return
    # Files of others may have the same names. Runs of other versions have other settings.
    file = folder / run_files.CONFIG
    config = read_yaml(file, "configuration", OutputError) if file.exists() else {}
    if not {"task", "space", "strategy"} <= set(config):
        raise OutputError(
            f"--overwrite removes only runs, and {folder} has no {run_files.CONFIG} of a run: use "
            "another folder"
        )


def _foreign(folder: Path) -> list[str]:
    """Paths that no run has written: other names, and links, pipes or folders of known names."""
    found = []
    for name in _OWN:
        below = folder / name
        if name != "." and (below.is_symlink() or not below.is_dir()):
            if os.path.lexists(below):
                found.append(name)
            continue
        for path in below.iterdir():
            place = path.name if name == "." else f"{name}/{path.name}"
            if place not in _OWN and not (_is_own(path.name, name) and is_regular(path)):
                found.append(place)
    return found


def _is_own(file: str, below: str) -> bool:
    """Whether a run has a file, or a file in the making, of this name in this folder."""
    path = Path(temporary_of(Path(file)) or file)
    return any(path.match(pattern) for pattern in _OWN[below])


def _remove_temporaries(folder: Path) -> None:
    """Remove files that were being written when a process of this run was killed."""
    try:
        for name in _OWN:
            below = folder / name
            if below.is_symlink() or not below.is_dir():
                continue
            for path in below.iterdir():
                if temporary_of(path) and _is_own(path.name, name) and is_regular(path):
                    path.unlink()
    except OSError as error:
        raise OutputError(
            f"cannot remove temporary files in {folder}: {error.strerror or error}"
        ) from error


def _held(folder: Path) -> set[str]:
    """The contents of the folder without its lock."""
    return names_in(folder) - {run_files.LOCK}


def _check_empty(folder: Path) -> None:
    if _held(folder):
        raise OutputError(f"{folder} is not empty: use another folder")


def _nothing_done(folder: Path) -> bool:
    """Whether there are only a configuration and a ledger without any line."""
    ledger = folder / run_files.LEDGER
    if not _held(folder) <= _CLAIM | {ledger.name}:
        return False
    try:
        return not (ledger.exists() and read_ledger(ledger))
    except CheckpointError:
        return False


def saved_config(folder: Path) -> RunConfig:
    """Return the configuration of the run in a folder.

    Raises
    ------
    ConfigError
        If it is missing or damaged.
    """
    file = folder / run_files.CONFIG
    remedy = "restore it, remove the run with --overwrite, or use another folder"
    saved = read_sealed_yaml(file, "configuration", ConfigError, remedy)
    return validate(RunConfig, saved, str(file), ConfigError)


def _claim(folder: Path, config: RunConfig, resume: bool) -> None:
    file = folder / run_files.CONFIG
    if not file.exists():
        _check_empty(folder)
    # Nothing was done yet, for example since a setting was wrong: the run starts afresh.
    untouched = _held(folder) <= _CLAIM
    if file.exists() and (resume or untouched):
        saved = saved_config(folder)
        different = [
            name for name in RunConfig.model_fields if getattr(saved, name) != getattr(config, name)
        ]
        if different and not untouched:
            raise OutputError(
                f"the run in {folder} has other settings ({', '.join(different)}): resume it with "
                "the same settings, or use another folder"
            )
        if not different and not untouched:
            _go_on(folder / run_files.VERSIONS, config)
            return
    if not untouched:
        raise OutputError(
            f"{folder} is not empty: go on with --resume, remove the run with --overwrite, or use "
            "another folder"
        )
    write_sealed_yaml(file, config.model_dump(mode="json"))
    write_json(folder / run_files.VERSIONS, _versions(config))


def _go_on(file: Path, config: RunConfig) -> None:
    """Tell of other threads than those that the run was begun with."""
    if not file.exists():
        write_json(file, _versions(config))
        return
    saved = read_sealed(file, "remove it to write it again")
    if (file.parent / run_files.RESULT).exists():
        return
    for key, now in _threads(config).items():
        tell_other_threads(file.parent, saved.get(key), now)


def _threads(config: RunConfig) -> dict[str, int]:
    """Return the numbers of threads on which results depend; on a GPU they depend on none."""
    if not config.device.startswith("cpu"):
        return {}
    return {"threads": count_threads(), "trial_threads": count_threads(config.jobs)}


def _versions(config: RunConfig) -> dict[str, str | int]:
    return {
        "platform": platform.platform(),
        **_threads(config),
        **dict.fromkeys(_PACKAGES, "not installed"),
        **software_versions(*_PACKAGES),
    }
