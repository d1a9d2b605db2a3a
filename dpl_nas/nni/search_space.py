"""A space and its architectures in NNI's form: one choice a layer. Needs no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from dpl_nas.errors import ArchitectureError
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.space import Architecture, Space

__all__ = [
    "architecture_of_parameters",
    "is_architecture",
    "nni_search_space",
    "parse_architecture",
    "sample_of",
    "search_space_yaml",
    "tuner_settings",
]

_LABEL = re.compile(r"(image|text)/\d+")
_TUNER = "dpl_nas.experiments.tuner.FittingTuner"


def nni_search_space(space: Space) -> dict[str, dict[str, Any]]:
    """The value of ``searchSpace`` of an NNI experiment: the lengths on offer, by label."""
    return {
        label: {"_type": "choice", "_value": list(space.towers[tower].lengths)}
        for label, tower, _ in space.labels()
    }


def search_space_yaml(space: Space) -> str:
    """Write :func:`nni_search_space` as YAML, a line a layer, for ``searchSpaceFile``."""
    return "".join(
        # PyYAML's default style would write four lines instead of one.
        f"{label}: {yaml.safe_dump(choice, default_flow_style=True, width=math.inf)}"
        for label, choice in nni_search_space(space).items()
    )


def tuner_settings(space: str) -> dict[str, Any]:
    """The ``tuner`` of an NNI experiment whose architectures fit the limits of ``space``.

    Parameters
    ----------
    space
        Name of a packaged space, or absolute path of a file.
    """
    return {
        "className": _TUNER,
        # NNI requires a folder; dpl_nas is found where it is installed.
        "codeDirectory": ".",
        "classArgs": {"space": space, "algorithm": "evolution", "seed": 1},
    }


def is_architecture(parameters: Mapping[str, Any]) -> bool:
    """Whether NNI's parameters are lengths by label, such as ``{"image/0": 4}``."""
    return any(_LABEL.fullmatch(key) for key in parameters)


def sample_of(architecture: Architecture) -> dict[str, str]:
    """The architecture as a sample of NNI: length names by label."""
    return {label: str(length) for label, length in architecture.by_label().items()}


def architecture_of_parameters(space: Space, parameters: Mapping[str, Any]) -> Architecture:
    """The architecture of NNI's parameters; lengths may be numbers or their names.

    Raises
    ------
    ArchitectureError
        If a label is missing or unknown, a length is not in the space, or a limit is exceeded.
    """
    lengths = {}
    for label, value in parameters.items():
        text = str(value) if isinstance(value, (int, str)) else ""
        if isinstance(value, bool) or re.fullmatch(r"[0-9]{1,4}", text) is None:
            raise ArchitectureError(
                f"expected a context length for {label}, found {abbreviate(value)}: make the "
                "search space with dpl-nas space nni"
            )
        lengths[label] = int(text)
    return space.architecture(lengths)


def parse_architecture(space: Space, text: str) -> Architecture:
    """Parse the text that :meth:`~dpl_nas.space.Architecture.describe` gives.

    Raises
    ------
    ArchitectureError
        If it does not describe an architecture of this space.
    """
    lengths: dict[str, Any] = {}
    for part in text.split("|"):
        name, *numbers = part.split() or [""]
        labels = [label for label, tower, _ in space.labels() if tower == name]
        if len(labels) != len(numbers):
            raise ArchitectureError(
                f"expected one length for each of the {len(labels)} layers that space "
                f"{space.name} searches in the {name} tower, found {abbreviate(text)}"
            )
        lengths |= dict(zip(labels, numbers, strict=True))
    return architecture_of_parameters(space, lengths)
