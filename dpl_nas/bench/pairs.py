"""Methods against one of them, pair by pair: the same images, seed and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dpl_nas.bench.cell import BenchCell
from dpl_nas.comparison.statistics import (
    Estimate,
    Interval,
    estimate,
    holm,
    nested_interval,
    t_interval,
    t_test,
)
from dpl_nas.errors import BenchError
from dpl_nas.io.reprs import short_repr

__all__ = ["BASE", "HARMONIC", "NEW", "Difference", "differences", "harmonic", "measures"]

#: What base-to-new measures: the learned classes, the others, and their harmonic mean.
BASE, NEW, HARMONIC = "base", "new", "H"


@dataclass(frozen=True)
class Difference:
    """How far a method is ahead of the baseline in one measure.

    Attributes
    ----------
    measure
        What is compared: ``all``, ``base``, ``new``, ``H``, or ``others`` than the learned task.
    over
        Mean difference of each place, a share in -1..1; a place is a task, or of ``others`` a test
        set.
    bootstrap
        Interval of the hierarchical bootstrap over places and seeds.
    p
        Of the t test over places.
    corrected_p
        By Holm's method over all methods and measures that are compared.
    """

    method: str
    measure: str
    over: Estimate
    bootstrap: Interval | None
    p: float | None
    corrected_p: float | None = None

    __repr__ = short_repr

    @property
    def interval(self) -> Interval | None:
        """The t interval over places; ``None`` with fewer than two, or if all are equal."""
        return t_interval(self.over.values)

    @property
    def ahead(self) -> int:
        """The number of places where the method is ahead."""
        return sum(value > 0 for value in self.over.values)


def harmonic(first: float, second: float) -> float:
    """Return the harmonic mean of two shares; 0 if one is 0."""
    return 2 * first * second / (first + second) if first + second else 0.0


def measures(cell: BenchCell) -> Mapping[tuple[str, str], float]:
    """Return the accuracies of a cell by what is measured, and where: a task or a test set."""
    found = cell.accuracy
    if cell.protocol == "few-shot":
        return {(name, cell.task): share for name, share in found.items()}
    if cell.protocol == "base-to-new":
        own = {(name, cell.task): share for name, share in found.items()}
        if {BASE, NEW} <= set(found):
            own[HARMONIC, cell.task] = harmonic(found[BASE], found[NEW])
        return own
    return {
        ("all" if name == cell.task else "others", name): share for name, share in found.items()
    }


def differences(cells: Sequence[BenchCell], baseline: str) -> list[Difference]:
    """Compare all methods with one, where both are complete.

    Raises
    ------
    BenchError
        If there is no such method.
    """
    methods = list(dict.fromkeys(cell.method for cell in cells))
    if baseline not in methods:
        raise BenchError(
            f"the baseline {baseline} is not in the bench: choose one of {', '.join(methods)}"
        )
    shares = {
        (cell.method, measure, place, cell.shots, cell.seed): share
        for cell in cells
        for (measure, place), share in measures(cell).items()
    }
    # By method and measure: the differences of each place.
    paired: dict[tuple[str, str], dict[str, list[float]]] = {}
    for (method, measure, place, *pair), share in shares.items():
        other = shares.get((baseline, measure, place, *pair))  # type: ignore[arg-type]
        if method != baseline and other is not None:
            own = paired.setdefault((method, measure), {})
            own.setdefault(place, []).append(share - other)
    found = [_difference(*key, list(places.values())) for key, places in paired.items()]
    # Seeds are outside in a plan, so measures of a method are apart.
    found.sort(key=lambda each: methods.index(each.method))
    return _corrected(found)


def _difference(method: str, measure: str, places: Sequence[Sequence[float]]) -> Difference:
    means = [sum(values) / len(values) for values in places]
    return Difference(
        method,
        measure,
        estimate(means),
        nested_interval(places, seed=0),
        t_test(means),
    )


def _corrected(found: Sequence[Difference]) -> list[Difference]:
    told = [index for index, each in enumerate(found) if each.p is not None]
    corrected = holm([p for each in found if (p := each.p) is not None])
    by_index = dict(zip(told, corrected, strict=True))
    return [replace(each, corrected_p=by_index.get(index)) for index, each in enumerate(found)]
