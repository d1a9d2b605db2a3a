"""What a method has learned, as a file of safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from dpl_nas.errors import CheckpointError, OutputError
from dpl_nas.io.arguments import checked
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.sealed_tensors import load_sealed, save_sealed
from dpl_nas.io.validation import Frozen, validate
from dpl_nas.methods.method import Learned, Method
from dpl_nas.methods.registry import METHODS, config_of, make_method, name_of

__all__ = ["known_method", "load_learned", "save_learned"]

_FORMAT = "dpl_nas method 1"
_REMEDY = "learn again"


class _Header(Frozen):
    """What a file says of its tensors."""

    format: str = Field(default=_FORMAT, pattern=f"^{_FORMAT}$")
    method: str
    settings: dict[str, Any]
    fingerprint: str
    class_names: tuple[str, ...] = Field(min_length=1)


@checked(OutputError)
def save_learned(learned: Learned, file: AnyPath) -> None:
    """Write what was learned, with its method and the fingerprint of its backbone.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    config = config_of(learned.method)
    header = _Header(
        method=config.name,
        settings=config.settings,
        fingerprint=learned.fingerprint,
        class_names=learned.class_names,
    )
    save_sealed(Path(file), learned.tensors, header.model_dump(mode="json"))


@checked(CheckpointError)
def load_learned(file: AnyPath, kind: type[Method] | None = None) -> Learned:
    """Read what :func:`save_learned` wrote; no file can run code.

    Parameters
    ----------
    kind
        Class of a method that is not among those of the package. The file does not choose it, as
        that would run code.

    Raises
    ------
    CheckpointError
        If it is missing, damaged, of another version, or something else.
    ConfigError
        If its method or a setting of it is unknown.
    """
    tensors, values = load_sealed(Path(file), None, _REMEDY)
    header = validate(_Header, values, str(file), CheckpointError)
    method = known_method(header.method, header.settings, kind, str(file))
    return Learned(method, tensors, header.fingerprint, header.class_names)


def known_method(
    name: str, settings: Mapping[str, Any], kind: type[Method] | None, source: str
) -> Method:
    """Return the method that a file names, without importing what the file says.

    Parameters
    ----------
    kind
        Class of a method that is not among those of the package.
    source
        What names it, for errors.

    Raises
    ------
    CheckpointError
        If it is neither of the package nor of this class.
    ConfigError
        If a setting is unknown or not valid.
    """
    if kind is not None and name == name_of(kind):
        return validate(kind, dict(settings), source, CheckpointError)
    if name in METHODS:
        return make_method(name, **settings)
    raise CheckpointError(
        f"{source} was learned by {name!r:.100}, which is no method of this package: load it in "
        "Python, and give its class (load_learned(file, kind), or "
        "PromptClassifier.from_pretrained(folder, method=kind))"
    )
