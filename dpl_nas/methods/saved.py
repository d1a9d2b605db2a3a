"""What a method has learned, as a file of safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from dpl_nas.errors import CheckpointError, OutputError
from dpl_nas.io.arguments import checked
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.sealed_tensors import load_sealed, save_sealed
from dpl_nas.io.validation import Frozen, validate
from dpl_nas.methods.method import Learned, Method
from dpl_nas.methods.registry import METHODS, make_method, name_of

__all__ = ["load_learned", "save_learned"]

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
    header = _Header(
        method=name_of(type(learned.method)),
        settings=learned.method.model_dump(mode="json"),
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
    if kind is not None and header.method == name_of(kind):
        method: Method = validate(kind, header.settings, str(file), CheckpointError)
    elif header.method in METHODS:
        method = make_method(header.method, **header.settings)
    else:
        raise CheckpointError(
            f"{file} was learned by {header.method!r:.100}, which is no method of this package: "
            "load it with load_learned(file, kind), kind being that class"
        )
    return Learned(method, tensors, header.fingerprint, header.class_names)
