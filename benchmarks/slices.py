"""Which slice of the published step is timed where all of it is too much, and how it scales.

As published, a step keeps every candidate's attention of every layer for the backward pass:
about 25 GB for ViT-B/16 with 100 classes and lengths 0 to 6. All layers but the first do the
same (the first needs no gradient of its input), and so do all classes. So the first layer and
the first three are timed, for a part of the classes, and the whole follows.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.workload import IMAGES, Case, Part, Workload
from dpl_nas.backbone import Backbone
from dpl_nas.space import TOWERS, Tower

__all__ = ["Slice", "parts", "published_bytes", "slice_of"]

DEPTHS = (1, 3)
#: The class text features of more classes than that are scaled.
_MOST_CLASSES = 100
#: Above it a step is sliced. Larger slices would only take longer.
_BUDGET = 5e9


@dataclass(frozen=True)
class Slice:
    """What is timed of the published step; ``None``: all of it."""

    layers: int | None = None
    classes: int | None = None


def published_bytes(
    case: Case, backbone: Backbone, tower: Tower, *, classes: int, layers: int
) -> float:
    """About what a pass keeps for its backward pass, in float32.

    A candidate keeps queries, keys, values, the attention's result in and out of the
    projection, and the input and output of its layer norm; the rest of a layer 18 widths.
    """
    visual, text = backbone.model.visual, getattr(backbone.model, "text", backbone.model)
    if tower == "image":
        tokens = max(IMAGES[case.phase]) * len(visual.positional_embedding)
    else:
        tokens = classes * len(text.positional_embedding)
    kept = layers * (7 * len(case.lengths) + 18) if case.gradient else 18
    return 4.0 * tokens * backbone.widths[tower] * kept


def _both(case: Case, backbone: Backbone, classes: int, layers: int | None = None) -> float:
    return sum(
        published_bytes(
            case, backbone, tower, classes=classes, layers=layers or backbone.layers[tower]
        )
        for tower in TOWERS
    )


def slice_of(case: Case, backbone: Backbone, budget: float = _BUDGET) -> Slice:
    """The slice that is timed: all layers where they fit, and as many classes as fit."""
    classes = min(case.classes, _MOST_CLASSES)
    layers = None
    if _both(case, backbone, classes) > budget:
        layers = DEPTHS[-1]
        each = published_bytes(case, backbone, "text", classes=1, layers=layers)
        classes = max(1, min(classes, int(budget / each)))
    return Slice(layers, classes if classes < case.classes else None)


def parts(workload: Workload, chosen: Slice) -> list[Part]:
    """What to run, so that the shares of all parts add up to the whole published step."""
    if chosen == Slice():
        return workload.published()
    found = []
    case, backbone = workload.case, workload.backbone
    classes = chosen.classes or case.classes
    for tower in TOWERS:
        scale, passes = 1.0, 1
        if tower == "text":
            scale, passes = case.classes / classes, len(IMAGES[case.phase])
        for layers, share in _depths(backbone.layers[tower], chosen.layers):
            run = workload.published_tower(tower, layers, classes)
            found.append(Part(run, share * scale, passes))
    return found


def _depths(layers: int, deepest: int | None) -> list[tuple[int, float]]:
    """Depths to time, and their shares in a line through them at ``layers``."""
    if deepest is None:
        return [(layers, 1.0)]
    first = DEPTHS[0]
    slope = (layers - first) / (deepest - first)
    return [(first, 1.0 - slope), (deepest, slope)]
