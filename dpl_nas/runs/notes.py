"""Notes on a result: what a reader should know and its numbers do not show."""

from __future__ import annotations

from pathlib import Path

from dpl_nas.config import RunConfig, SupernetSettings
from dpl_nas.engine import StopReason
from dpl_nas.io.files import read_sealed
from dpl_nas.io.run_files import EVALUATIONS, MANUAL, RECORDS
from dpl_nas.space import Architecture
from dpl_nas.strategy.compared import Compared
from dpl_nas.strategy.result import SearchSummary, read_records
from dpl_nas.training.problem import Problem
from dpl_nas.validation_score import validation_score

__all__ = ["result_notes"]


def result_notes(
    problem: Problem,
    config: RunConfig,
    folder: Path,
    found: Architecture,
    manual: Architecture | None = None,
    search: SearchSummary | None = None,
) -> tuple[str, ...]:
    """Write sentences on the run in ``folder`` that has ``found`` an architecture.

    Parameters
    ----------
    manual
        Manual design beside it, if there is one.
    search
        Summary of the search.
    """
    notes = [_other_than_likeliest(folder, found)]
    if search is not None:
        notes.insert(0, _fewer_epochs(config, search))
        if search.collapse is not None:
            notes += search.collapse.warnings
        if search.compared is not None and config.strategy.search.portfolio:
            notes.append(_beside_portfolio(search.compared))
    if manual is not None:
        notes.append(_manual_favoured(problem, config, folder, found, manual))
    return tuple(note for note in notes if note)


def _fewer_epochs(config: RunConfig, search: SearchSummary) -> str:
    """A note if the budget did not cover the epochs of the supernet that are set."""
    settings = config.strategy.search
    if not isinstance(settings, SupernetSettings):
        return ""
    done, stopped = search.epochs, search.stopped_by is StopReason.EARLY_STOP
    if not done or stopped or done >= settings.epochs:
        return ""
    return (
        f"the supernet was trained for {done} of the {settings.epochs} epochs of search.epochs, as "
        "the budget covers no more"
    )


def _other_than_likeliest(folder: Path, found: Architecture) -> str:
    """A note if the found lengths are not those of the alphas and their picture."""
    records = read_records(folder / RECORDS)
    if not records:
        return ""
    likely, lengths = records[-1].choice, found.by_label()
    different = sum(likely[label] != length for label, length in lengths.items())
    if not different:
        return ""
    return (
        f"at {different} of {len(lengths)} layers the found length is not the one that the "
        "alphas choose, as trials decided otherwise"
    )


def _beside_portfolio(compared: Compared) -> str:
    """A note on the manual designs that the search began with."""
    return (
        f"of {compared.designs} manual designs that the search tried, {compared.design} validated "
        f"best ({compared.validation_accuracy:.1%}); on the same images the found lengths are "
        f"{100 * compared.ahead:+.1f} ± {100 * compared.error:.1f} points from it"
    )


def _manual_favoured(
    problem: Problem, config: RunConfig, folder: Path, found: Architecture, manual: Architecture
) -> str:
    """A note if the manual design is better on the run's own validation images."""
    own = _validated(folder, found)
    other = _validated(folder / MANUAL, manual)
    if other is None:
        other = _validated(folder, manual)
    if own is None or other is None or validation_score(*other) <= validation_score(*own):
        return ""
    images = len(problem.split(config.strategy.search).validation)
    return (
        f"the manual design validated better than the found lengths ({other[0]:.1%} against "
        f"{own[0]:.1%} of {images} images, log-likelihood {-other[1]:.2f} against {-own[1]:.2f}), "
        "so before the test it was the better choice"
    )


def _validated(folder: Path, architecture: Architecture) -> tuple[float, float] | None:
    """Validation accuracy and loss of an architecture, if a whole trial measured them."""
    file = folder / EVALUATIONS
    if not file.exists():
        return None
    lengths = architecture.plain_lengths()
    ranking = read_sealed(file, "remove it, as the search is complete without it")["ranking"]
    found = (each for each in ranking if each["lengths"] == lengths)
    return next(((each["accuracy"], each["loss"]) for each in found), None)
