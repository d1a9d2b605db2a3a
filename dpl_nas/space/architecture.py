"""An architecture: one context length for every searched layer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from dpl_nas.errors import ArchitectureError, OutputError
from dpl_nas.io.arguments import checked
from dpl_nas.io.files import read_json, write_json
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import in_a_line
from dpl_nas.io.validation import Frozen, WholeNumbers, validate
from dpl_nas.space.towers import Tower

__all__ = ["Architecture", "label_of", "load_architecture"]


def label_of(tower: Tower, layer: int) -> str:
    """Return the label of a layer, such as ``image/0``."""
    return f"{tower}/{layer}"


class Architecture(Frozen):
    """One context length for every searched layer; equal ones have equal hashes.

    Attributes
    ----------
    space, space_id
        Name and :attr:`Space.id` of the space it belongs to.
    layers
        The searched layers of each tower.
    lengths
        Context lengths of each tower, one per searched layer, in the order of ``layers``.
    """

    error_class = ArchitectureError

    space: str
    space_id: str
    layers: dict[Tower, WholeNumbers]
    lengths: dict[Tower, tuple[Annotated[int, Field(ge=0, strict=True)], ...]]

    @model_validator(mode="after")
    def _fits(self) -> Architecture:
        if {t: len(v) for t, v in self.layers.items()} != {
            t: len(v) for t, v in self.lengths.items()
        }:
            raise ValueError("expected one length for each layer of each tower")
        return self

    def __repr__(self) -> str:
        return in_a_line(f"Architecture({self.space!r}, {self.describe()})")

    __str__ = __repr__

    def __hash__(self) -> int:
        return hash((self.space_id, self.key))

    @property
    def key(self) -> tuple[tuple[Tower, tuple[int, ...]], ...]:
        """A key that is unique within a space and does not depend on the order of the towers."""
        return tuple(sorted(self.lengths.items()))

    @property
    def vectors(self) -> int:
        """Number of context vectors in all."""
        return sum(sum(lengths) for lengths in self.lengths.values())

    def items(self) -> Iterator[tuple[Tower, int, int]]:
        """Yield tower, layer and length, one by one."""
        for tower, layers in self.layers.items():
            for layer, length in zip(layers, self.lengths[tower], strict=True):
                yield tower, layer, length

    def by_label(self) -> dict[str, int]:
        """Return lengths by label: ``{"image/0": 4, ...}``."""
        return {label_of(tower, layer): length for tower, layer, length in self.items()}

    def plain_lengths(self) -> dict[str, list[int]]:
        """Return lengths by tower as plain values for JSON."""
        return {tower: list(lengths) for tower, lengths in self.lengths.items()}

    def describe(self) -> str:
        """Return one line: ``image 0 4 2 ... | text 6 0 1 ...``."""
        return " | ".join(
            f"{tower} {' '.join(map(str, lengths))}" for tower, lengths in self.lengths.items()
        )

    @checked(OutputError)
    def save(self, path: AnyPath) -> None:
        """Write the architecture as JSON, atomically."""
        write_json(Path(path), self.model_dump(mode="json"))


@checked(ArchitectureError)
def load_architecture(path: AnyPath | Architecture) -> Architecture:
    """Load an architecture that :meth:`Architecture.save` wrote; return an architecture as is.

    Raises
    ------
    ArchitectureError
        If the file holds something else.
    CheckpointError
        If it is missing or not JSON.
    """
    if isinstance(path, Architecture):
        return path
    return validate(Architecture, read_json(Path(path)), f"architecture {path}", ArchitectureError)
