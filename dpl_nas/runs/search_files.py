"""Files that a search leaves in the folder of its run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from dpl_nas.config import RunConfig
from dpl_nas.io.files import write_json
from dpl_nas.io.run_files import (
    ALPHAS_PLOT,
    ARCHITECTURE,
    ARCHITECTURE_PLOT,
    EVALUATIONS,
    SEARCH,
    TRIALS_PLOT,
)
from dpl_nas.runs.reasons import why_chosen
from dpl_nas.runs.result import SearchRecord, write_record
from dpl_nas.space.fitting import portfolio
from dpl_nas.strategy.result import SearchResult

__all__ = ["list_evaluations", "record_search"]


def record_search(config: RunConfig, result: SearchResult, folder: Path, **more: object) -> None:
    """Write the result of a search; :func:`~dpl_nas.runs.run` then goes on with the training.

    Parameters
    ----------
    more
        Further fields of :class:`~dpl_nas.runs.result.SearchRecord`, such as the search's place.
    """
    _draw(config, result, folder)
    list_evaluations(result, folder)
    record = SearchRecord.model_validate(
        {
            **result.summary().model_dump(),
            "seconds": result.seconds,
            "peak_bytes": result.peak_bytes,
            **more,
        }
    )
    write_record(folder / SEARCH, record)
    # This comes last: if the file is there, the search is complete.
    result.architecture.save(folder / ARCHITECTURE)


def _draw(config: RunConfig, result: SearchResult, folder: Path) -> None:
    from dpl_nas.runs.plots import plot_alphas, plot_architecture
    from dpl_nas.runs.trial_plot import plot_trials

    caption = why_chosen(config.space, result)
    plot_architecture(result.architecture, folder / ARCHITECTURE_PLOT, caption=caption)
    lengths: dict[str, tuple[int, ...]] = {
        tower: part.lengths for tower, part in config.space.towers.items()
    }
    if result.records:
        records = [asdict(record) for record in result.records]
        plot_alphas(records, lengths, folder / ALPHAS_PLOT, result.architecture, caption)
    if result.ranking:
        designs = portfolio(config.space)
        plot_trials(
            result.ranking, designs, result.architecture, folder / TRIALS_PLOT, result.finals
        )


def list_evaluations(result: SearchResult, folder: Path) -> None:
    """Write all trials, the best first; those on the front of accuracy and vectors are marked."""
    if not result.evaluations:
        return
    ranked = {each.number for each in result.ranking}
    others = [each for each in result.evaluations if each.number not in ranked]
    write_json(
        folder / EVALUATIONS,
        {
            "ranking": [each.as_dict() for each in result.ranking],
            "finals": [each.as_dict() for each in result.finals],
            "front": [each.number for each in result.front],
            "others": [each.as_dict() for each in others],
            "curve": result.curve,
        },
    )
