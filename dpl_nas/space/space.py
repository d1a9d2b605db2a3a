"""The declarative search space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from dpl_nas.backbone_config import BackboneConfig
from dpl_nas.errors import ArchitectureError, BackboneError, SpaceError
from dpl_nas.io.arguments import checked
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.presets import preset_path, read_yaml
from dpl_nas.io.reprs import in_a_line
from dpl_nas.io.validation import Frozen, Name, Number, Truth, WholeNumbers, problems_of, validate
from dpl_nas.space.architecture import Architecture, label_of
from dpl_nas.space.limits import LIMIT_KEYS, Limit, limit_of
from dpl_nas.space.towers import TOWERS, Tower

__all__ = ["Space", "TowerSpace", "choices_of", "load_space", "space_problems"]


class TowerSpace(Frozen):
    """The searched layers and lengths of one tower.

    Attributes
    ----------
    layers
        The layers that may have context vectors, counted from 0; the others have none.
    lengths
        The context lengths that each of these layers chooses from.
    """

    layers: WholeNumbers
    lengths: WholeNumbers


class Space(Frozen):
    """A search space: context lengths by layer and tower of one backbone, with optional limits.

    Attributes
    ----------
    name
        Name of the space in runs and architectures.
    backbone
        The frozen CLIP.
    towers
        ``image``, ``text`` or both.
    shared_vectors
        Whether, in a supernet, a candidate of length c uses the first c vectors of the
        longest one (nested), rather than c vectors of its own as published.
    max_context_vectors
        Largest total number of context vectors over all layers of both towers.
    max_flops
        FLOPs that the context vectors may add to classifying one image, with all that depends
        on no image computed once: class features, and keys and values of context vectors. So a
        vector of the image tower costs ``4 * tokens * width``
        (:func:`dpl_nas.space.flops.flops_per_vector`), one of the text tower nothing.
    """

    error_class = SpaceError

    name: Name
    backbone: BackboneConfig = BackboneConfig()
    towers: dict[Tower, TowerSpace] = Field(min_length=1)
    shared_vectors: Truth = False
    max_context_vectors: Annotated[int, Field(ge=0, strict=True)] | None = None
    max_flops: Annotated[Number, Field(ge=0, le=1e18)] | None = None

    @field_validator(*LIMIT_KEYS)
    @classmethod
    def _met_by_some(cls, most: float | None, info: ValidationInfo) -> float | None:
        # Other invalid keys are absent here; their own errors are reported.
        if most is None or not {"backbone", "towers"} <= set(info.data):
            return most
        towers: dict[Tower, TowerSpace] = info.data["towers"]
        key: Any = info.field_name
        try:
            limit = limit_of(key, most, info.data["backbone"], towers)
        except BackboneError as error:
            raise ValueError(str(error)) from None
        # Every cost grows with the length, so the shortest lengths cost the least.
        least = limit.cost({t: part.lengths[:1] * len(part.layers) for t, part in towers.items()})
        if least > limit.most:
            raise ValueError(
                f"every architecture costs at least {least:,} {limit.unit}: allow as many, or "
                "offer shorter lengths"
            )
        return most

    @model_validator(mode="after")
    def _ordered(self) -> Space:
        # One order everywhere, so that equal spaces print, hash and draw alike.
        ordered = {tower: self.towers[tower] for tower in TOWERS if tower in self.towers}
        object.__setattr__(self, "towers", ordered)
        return self

    def __repr__(self) -> str:
        towers = ", ".join(
            f"{tower}: {len(part.layers)} layers" for tower, part in self.towers.items()
        )
        limits = "".join(f", at most {limit.most:,} {limit.unit}" for limit in self.limits)
        return in_a_line(f"Space({self.name!r}, {towers}, {self.size:.3g} architectures{limits})")

    __str__ = __repr__

    @property
    def id(self) -> str:
        """12 hex digits of the backbone's model, the layers and the lengths on offer.

        The name does not count. Neither do the weights: the same lengths may be trained on
        others. Neither do limits: :meth:`check` tells whether an architecture fits them.
        """
        content = {
            "model": self.backbone.model,
            "towers": {
                tower: [list(part.layers), list(part.lengths)]
                for tower, part in self.towers.items()
            },
        }
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits of the space: none, one or two. All must hold."""
        return tuple(
            limit_of(key, most, self.backbone, self.towers)
            for key in LIMIT_KEYS
            if (most := getattr(self, key)) is not None
        )

    def without_limits(self) -> Space:
        """The same space, in which every architecture fits."""
        return self.model_copy(update=dict.fromkeys(LIMIT_KEYS))

    def describe_lengths(self) -> str:
        """Return the lengths on offer by tower: ``image 0, 2, 4; text 0, 1``."""
        return "; ".join(
            f"{tower} {', '.join(map(str, part.lengths))}" for tower, part in self.towers.items()
        )

    def labels(self) -> Iterator[tuple[str, Tower, int]]:
        """``("image/0", "image", 0)`` and so on, image tower first, by layer."""
        for tower, part in self.towers.items():
            for layer in part.layers:
                yield label_of(tower, layer), tower, layer

    @property
    def size(self) -> int:
        """Number of architectures, whether or not they fit the limits.

        :func:`dpl_nas.space.fitting.count` counts those that do.
        """
        count = 1
        for part in self.towers.values():
            count *= len(part.lengths) ** len(part.layers)
        return count

    @checked(ArchitectureError)
    def architecture(self, lengths: Mapping[str, int]) -> Architecture:
        """The architecture with ``lengths[label]`` context vectors at each label.

        Raises
        ------
        ArchitectureError
            If a label is missing or unknown, a length is not in the space, or a limit is
            exceeded.
        """
        known = {label for label, _, _ in self.labels()}
        if set(lengths) != known:
            wrong = sorted(set(lengths) ^ known)
            raise ArchitectureError(
                f"expected a length for each of the {len(known)} layers of space {self.name}; "
                f"missing or unknown: {', '.join(wrong[:6])}"
            )
        architecture = Architecture(
            space=self.name,
            space_id=self.id,
            layers={tower: part.layers for tower, part in self.towers.items()},
            lengths={
                tower: tuple(lengths[label_of(tower, layer)] for layer in part.layers)
                for tower, part in self.towers.items()
            },
        )
        self.check(architecture)
        return architecture

    def architecture_of(self, lengths: Mapping[Tower, Sequence[int]]) -> Architecture:
        """The architecture with these lengths by tower, in the order of the layers.

        Raises
        ------
        ArchitectureError
            If a tower or a length is missing or not in the space, or a limit is exceeded.
        """
        # What is missing is told by the label.
        return self.architecture(
            {
                label_of(tower, layer): length
                for tower, part in self.towers.items()
                for layer, length in zip(part.layers, lengths.get(tower, ()), strict=False)
            }
        )

    @checked()
    def uniform(self, length: int) -> Architecture:
        """The manual design: the same length at every layer.

        Where a tower does not offer ``length``, its longest shorter one is taken. Where the
        limits do not allow it, the longest is taken that fits everywhere;
        :func:`dpl_nas.space.fitting.portfolio` has the designs that leave layers out.
        """
        limits = self.limits
        offered = {c for part in self.towers.values() for c in part.lengths if c <= length}
        # 0 stands for the shortest of each tower, which always fits.
        for longest in sorted(offered | {0}, reverse=True):
            chosen = {
                tower: max((c for c in part.lengths if c <= longest), default=part.lengths[0])
                for tower, part in self.towers.items()
            }
            lengths = {t: (chosen[t],) * len(part.layers) for t, part in self.towers.items()}
            if all(limit.cost(lengths) <= limit.most for limit in limits):
                break
        return self.architecture({label: chosen[tower] for label, tower, _ in self.labels()})

    @checked(ArchitectureError)
    def check(self, architecture: Architecture) -> None:
        """Raise an error unless ``architecture`` belongs to this space and fits its limits.

        Raises
        ------
        ArchitectureError
            If it belongs to another space, has a length that is not in this one, or exceeds
            a limit.
        """
        if architecture.space_id != self.id:
            raise ArchitectureError(
                f"the architecture belongs to space {architecture.space} "
                f"({architecture.space_id}), not to {self.name} ({self.id}): use the space that "
                "it was found in"
            )
        # A file that was edited by hand may carry an id that is not its own.
        if architecture.layers != {tower: part.layers for tower, part in self.towers.items()}:
            raise ArchitectureError(
                f"the architecture names space {self.name} but has other layers: use the file "
                "that a search wrote"
            )
        for tower, part in self.towers.items():
            for layer, length in zip(part.layers, architecture.lengths[tower], strict=True):
                if length not in part.lengths:
                    raise ArchitectureError(
                        f"{tower}/{layer} has length {length}, but space {self.name} offers only "
                        f"{', '.join(map(str, part.lengths))}"
                    )
        for limit in self.limits:
            if (cost := limit.cost(architecture.lengths)) > limit.most:
                raise ArchitectureError(
                    f"the architecture costs {cost:,} {limit.unit}, but space {self.name} allows "
                    f"only {limit.most:,}: choose shorter lengths, or raise {limit.key}"
                )


@checked(SpaceError)
def load_space(name_or_path: AnyPath | Space) -> Space:
    """Load a packaged search space by name, or one from a YAML file; return a space as is.

    Raises
    ------
    SpaceError
        If there is no such space or it is not valid.
    """
    if isinstance(name_or_path, Space):
        return name_or_path
    return validate(Space, _read(name_or_path), f"space {name_or_path}", SpaceError)


@checked(SpaceError)
def space_problems(name_or_path: AnyPath) -> list[str]:
    """Return every problem of a search space, one sentence each; none if it is valid.

    Raises
    ------
    SpaceError
        If there is no such file, or it is not YAML.
    """
    try:
        Space.model_validate(_read(name_or_path))
    except ValidationError as problem:
        return problems_of(problem, Space)
    return []


@checked(SpaceError)
def choices_of(name_or_path: AnyPath) -> Space | None:
    """Load only backbone, layers and lengths of a space, ignoring other keys.

    ``None`` if these are not valid.

    Raises
    ------
    SpaceError
        If there is no such file, or it is not YAML.
    """
    data = _read(name_or_path)
    kept = {key: data[key] for key in ("backbone", "towers") if key in data}
    try:
        return Space.model_validate({"name": "choices", **kept})
    except ValidationError:
        return None


def _read(name_or_path: AnyPath) -> dict[str, Any]:
    path = preset_path("search_spaces", name_or_path, "space", SpaceError)
    return {"name": path.stem, **read_yaml(path, "space", SpaceError)}
