"""Read tensors from the zip files of torch.save and torch.jit.save without running their code.

A pickle may name the functions that rebuild tensors. NumPy's values and other plain values, which
checkpoints of trainings often hold, are skipped. Everything else is refused. Modules of
TorchScript are read as names and values; of their code, only the lists of parameters and buffers
are read. All checksums are checked.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, BinaryIO, ClassVar

import torch
from torch import Tensor

from dpl_nas.errors import shorten

__all__ = ["ForbiddenError", "read_archive"]

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
#: Names of values that are skipped.
_PASSED_OVER = re.compile(
    r"numpy\..*|_codecs\.encode|argparse\.Namespace|datetime\..*|decimal\.Decimal"
    r"|pathlib(\.[_a-z]+)?\.\w+|collections\.(defaultdict|deque|Counter)|types\.SimpleNamespace"
    r"|builtins\.(set|frozenset|complex|bytearray|slice|range|list|dict|tuple|int|float|bool|str)"
    r"|torch\.(device|Size)|omegaconf\..*"
)
#: More modules than any CLIP has.
_MODULES = 100_000
_CLASS = re.compile(
    r"^class (\w+)\(Module\):\n  __parameters__ = \[(.*)\]\n  __buffers__ = \[(.*)\]$", re.MULTILINE
)


class ForbiddenError(pickle.UnpicklingError):
    """A pickle asks for something that is neither a weight nor known to be harmless."""


class _Ignored:
    """Placeholder for a value that is skipped."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def _pass_over(self, *_: Any) -> None:
        pass

    __setstate__ = __setitem__ = append = extend = add = update = _pass_over


class _Mapping(dict[Any, Any]):
    """An ordered dictionary without attributes of its own, such as a state_dict's versions."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Module:
    """A module of TorchScript: the values of its attributes."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            # The module has a __setstate__ of its own, and this is its argument.
            raise ForbiddenError("a module with its own code for loading")
        self.values = state


class _Stored:
    """A tensor that is not yet read."""

    __slots__ = ("key", "kind", "offset", "size", "stride")

    def __init__(
        self,
        storage: tuple[torch.dtype, str],
        offset: int,
        size: Sequence[int],
        stride: Sequence[int],
        *_: Any,
    ) -> None:
        self.kind, self.key = storage
        self.offset, self.size, self.stride = offset, tuple(size), tuple(stride)

    def __setstate__(self, state: Any) -> None:
        raise ForbiddenError("a tensor with attributes of its own")


def read_archive(stream: BinaryIO, choose: Callable[[Any], Mapping[Any, Any]]) -> dict[Any, Any]:
    """Return the contents of an archive by name; for TorchScript, the parameters and buffers.

    Parameters
    ----------
    choose
        Function that picks, from the archive's contents, the mapping whose tensors are read.

    Raises
    ------
    ForbiddenError
        If it asks for more than tensors and plain values.
    Exception
        If the archive is damaged or is something else; the kinds of error vary.
    """
    with zipfile.ZipFile(stream) as archive:
        names = archive.namelist()
        (main,) = (name for name in names if re.fullmatch(r"[^/]+/data\.pkl", name))
        top = main.removesuffix("data.pkl")
        if f"{top}byteorder" in names and archive.read(f"{top}byteorder") != b"little":
            raise ValueError("the numbers are in big-endian order")
        scripted = f"{top}constants.pkl" in names
        with archive.open(main) as pickled:
            content = _Unpickler(pickled, scripted).load()
        chosen = choose(_weights(content, _kept(archive, top)) if scripted else content)
        read = _Reader(archive, top)
        return {
            name: read.tensor(value) if isinstance(value, _Stored) else value
            for name, value in chosen.items()
        }


class _Reader:
    """Reader of tensors; each storage is read once."""

    def __init__(self, archive: zipfile.ZipFile, top: str) -> None:
        self._archive = archive
        self._top = top
        self._storages: dict[str, bytearray] = {}

    def tensor(self, stored: _Stored) -> Tensor:
        if stored.key not in self._storages:
            member = self._archive.getinfo(f"{self._top}data/{stored.key}")
            if member.compress_type != zipfile.ZIP_STORED:
                # A few bytes might decompress to very many.
                raise ValueError("the tensors are compressed")
            # zipfile checks the checksum.
            self._storages[stored.key] = bytearray(self._archive.read(member))
        content = self._storages[stored.key]
        kind = stored.kind
        flat = torch.frombuffer(content, dtype=kind) if content else torch.empty(0, dtype=kind)
        # Raises if the view exceeds the storage.
        return flat.as_strided(stored.size, stored.stride, stored.offset)


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: IO[bytes], scripted: bool) -> None:
        super().__init__(stream)
        self._scripted = scripted

    def persistent_load(self, pid: Any) -> tuple[Any, str]:
        what, kind, key, *_ = pid
        if what != "storage":
            raise ForbiddenError("an object that is not a tensor")
        return kind, str(key)

    def find_class(self, module: str, name: str) -> Any:
        full = f"{'builtins' if module == '__builtin__' else module}.{name}"
        if full in _MEANT:
            return _MEANT[full]
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if self._scripted and re.match(r"__torch__(\.|$)", module):
            return type(name, (_Module,), {"name": full})
        if _PASSED_OVER.fullmatch(full):
            return _Ignored
        raise ForbiddenError(shorten(full, 100))


def _stored_as(
    storage: tuple[Any, str],
    offset: int,
    size: Sequence[int],
    stride: Sequence[int],
    _: Any,
    __: Any,
    kind: torch.dtype,
    *___: Any,
) -> _Stored:
    return _Stored((kind, storage[1]), offset, size, stride)


def _first(value: Any, *_: Any) -> Any:
    return value


def _of_subclass(make: Any, _: Any, arguments: tuple[Any, ...], __: Any) -> Any:
    if make not in (_Stored, _stored_as, _first):
        raise ForbiddenError("a tensor of an unknown kind")
    return make(*arguments)


_MEANT: dict[str, Any] = {
    **{f"torch.{name}": kind for name, kind in _STORAGES.items()},
    "collections.OrderedDict": _Mapping,
    "torch._utils._rebuild_tensor": _Stored,
    "torch._utils._rebuild_tensor_v2": _Stored,
    "torch._utils._rebuild_tensor_v3": _stored_as,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._tensor._rebuild_from_type_v2": _of_subclass,
    "torch.Tensor": _Ignored,
    "torch.nn.parameter.Parameter": _Ignored,
    "torch.storage.UntypedStorage": None,
    "torch.UntypedStorage": None,
    "torch.jit._pickle.build_intlist": _first,
    "torch.jit._pickle.build_doublelist": _first,
    "torch.jit._pickle.build_boollist": _first,
    "torch.jit._pickle.build_tensorlist": _first,
    "torch.jit._pickle.restore_type_tag": _first,
}


def _kept(archive: zipfile.ZipFile, top: str) -> dict[str, set[str]]:
    """Return, by class, the attributes that are parameters or buffers."""
    found = {}
    for name in archive.namelist():
        if name.startswith(f"{top}code/") and name.endswith(".py"):
            module = name.removeprefix(f"{top}code/").removesuffix(".py").replace("/", ".")
            for kind, *lists in _CLASS.findall(archive.read(name).decode("utf-8")):
                found[f"{module}.{kind}"] = set(re.findall(r'"([^"]+)"', ",".join(lists)))
    return found


def _weights(content: Any, kept: dict[str, set[str]]) -> dict[str, _Stored]:
    """Return the parameters and buffers of a module by their names in ``state_dict``."""
    weights: dict[str, _Stored] = {}
    waiting: list[tuple[str, _Module]] = [("", content)] if isinstance(content, _Module) else []
    seen = 0
    while waiting:
        seen += 1
        if seen > _MODULES:
            raise ValueError("a module contains itself")
        prefix, module = waiting.pop()
        for name, value in module.values.items():
            if isinstance(value, _Module):
                waiting.append((f"{prefix}{name}.", value))
            elif isinstance(value, _Stored) and name in kept.get(module.name, {name}):
                weights[f"{prefix}{name}"] = value
    return weights
