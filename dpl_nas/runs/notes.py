"""What a reader of a result should know, and would not see in its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dpl_nas.config import RunConfig
from dpl_nas.io.files import read_json
from dpl_nas.strategy.result import read_records
from dpl_nas.tasks import Task, few_shot_split

__all__ = ["result_notes"]

_Lengths = Mapping[str, list[int]]


def result_notes(
    config: RunConfig, task: Task, folder: Path, found: _Lengths, manual: _Lengths | None = None
) -> list[str]:
    """Sentences on the run in ``folder`` that has found the lengths ``found``.

    Parameters
    ----------
    manual
        The manual design beside them, if there is one.
    """
    return [
        *_other_than_likeliest(config, folder, found),
        *(_manual_favoured(config, task, folder, found, manual) if manual else ()),
    ]


def _other_than_likeliest(config: RunConfig, folder: Path, found: _Lengths) -> list[str]:
    """Where the alphas, and the picture of them, say something else."""
    records = read_records(folder / "alphas.jsonl")
    if not records:
        return []
    last = records[-1].choice
    likely = [last[label] for label, _, _ in config.space.labels()]
    chosen = [length for part in found.values() for length in part]
    different = sum(a != b for a, b in zip(likely, chosen, strict=True))
    if not different:
        return []
    told = (
        f"at {different} of {len(chosen)} layers the found lengths are not the most likely ones "
        "of the supernet, since others of its shortlist validated better once they were trained"
    )
    return [told]


def _manual_favoured(
    config: RunConfig, task: Task, folder: Path, found: _Lengths, manual: _Lengths
) -> list[str]:
    """Where the run's own validation images speak for the manual design."""
    own = _accuracy(folder, found)
    other = _accuracy(folder / "manual", manual)
    if other is None:
        other = _accuracy(folder, manual)
    if own is None or other is None or other <= own:
        return []
    search = config.strategy.search
    images = len(
        few_shot_split(
            task, config.shots, config.seed, search.validation, search.validation_shots
        ).validation
    )
    told = (
        f"the manual design validated better than the found lengths, {other:.1%} against "
        f"{own:.1%} of {images} images, so what the run saw before the test speaks for it"
    )
    return [told]


def _accuracy(folder: Path, lengths: _Lengths) -> float | None:
    """Of these lengths on the validation images, if a whole trial measured it."""
    file = folder / "evaluations.json"
    if not file.exists():
        return None
    wanted = {tower: list(part) for tower, part in lengths.items()}
    for trial in read_json(file)["ranking"]:
        if trial["lengths"] == wanted:
            accuracy: float | None = trial["accuracy"]
            return accuracy
    return None
