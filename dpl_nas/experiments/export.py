"""An NNI experiment as a run: its best lengths are trained on all shots and tested."""

from __future__ import annotations

from pathlib import Path

from dpl_nas.engine import StopReason, whole_trials
from dpl_nas.errors import ExperimentError
from dpl_nas.experiments.experiment import Experiment
from dpl_nas.experiments.results import experiment_config, experiment_evaluations
from dpl_nas.io.run_files import SEARCH
from dpl_nas.methods import problem_of_run
from dpl_nas.observer import Observer
from dpl_nas.runs.folder import open_folder
from dpl_nas.runs.pipeline import run
from dpl_nas.runs.result import RunResult
from dpl_nas.runs.search_files import record_search
from dpl_nas.strategy.compared import compare_with_manual
from dpl_nas.strategy.near_ties import preferred
from dpl_nas.strategy.result import SearchResult

__all__ = ["export"]

#: Reasons by NNI's status; with any other status the experiment goes on.
_STOPS = {"STOPPED": StopReason.STOPPED, "ERROR": StopReason.ERROR}


def export(
    experiment: Experiment,
    folder: Path,
    *,
    device: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    observer: Observer | None = None,
) -> RunResult:
    """Turn an experiment into a run folder, as if it were a search; returns the run's result.

    The best architecture by validation is trained on all shots; near ties are decided as a
    strategy does, and the choice is compared with the manual designs that were tried. It is
    tested, and so are the manual design and zero-shot CLIP.

    Parameters
    ----------
    device
        Device for training and test, instead of that of the trials.
    resume
        Whether to go on with an interrupted export; the choice that it made stays.

    Raises
    ------
    ExperimentError
        If the experiment is not one of dpl_nas, or no trial has ended well.
    DplError
        For any other bad input; nothing half-written is left behind.
    """
    config = experiment_config(experiment, device)
    evaluations = experiment_evaluations(experiment, config.space)
    margin = config.strategy.search.margin
    best = preferred(config.space, whole_trials(evaluations), margin)
    if best is None:
        raise ExperimentError(
            f"no trial of experiment {experiment.id} has ended well: read the trials' stderr"
        )
    # Before the folder is touched: bad input leaves nothing behind.
    problem = problem_of_run(config)
    problem.check(config.strategy.search)
    split = problem.split(config.strategy.search)
    with open_folder(folder, config, resume, overwrite=overwrite):
        if not (folder / SEARCH).exists():
            record_search(
                config,
                SearchResult(
                    architecture=best.architecture,
                    strategy=config.strategy.name,
                    shots=config.shots,
                    seed=config.seed,
                    records=(),
                    stopped_by=StopReason.TRIALS
                    if experiment.status == "DONE"
                    else _STOPS.get(experiment.status, StopReason.RUNNING),
                    seconds=experiment.seconds,
                    labels_seen=len(split.train) + len(split.validation),
                    evaluations=evaluations,
                    cost=evaluations[-1].spent,
                    peak_bytes=max(each.peak_bytes for each in evaluations),
                    trial_steps=best.cost.steps,
                    compared=compare_with_manual(config.space, evaluations, best.architecture),
                ),
                folder,
                nni={
                    "experiment": experiment.id,
                    "tuner": experiment.settings.get("tuner"),
                    "failed": experiment.failed,
                },
            )
    return run(config, folder, resume=True, observer=observer)
