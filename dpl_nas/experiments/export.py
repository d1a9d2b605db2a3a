"""An NNI experiment as a run of ours: its best lengths are trained on all shots and tested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dpl_nas.backbone import load_backbone
from dpl_nas.engine import best_of
from dpl_nas.errors import ExperimentError
from dpl_nas.experiments.experiment import Experiment
from dpl_nas.experiments.results import experiment_config, experiment_evaluations
from dpl_nas.observer import Observer
from dpl_nas.runs.folder import open_folder
from dpl_nas.runs.pipeline import record, run
from dpl_nas.strategy.result import SearchResult
from dpl_nas.tasks import few_shot_split, load_task

__all__ = ["export"]


def export(
    experiment: Experiment,
    folder: Path,
    *,
    device: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    observer: Observer | None = None,
) -> dict[str, Any]:
    """Turn an experiment into a run folder, as if we had searched; returns its result.

    The best architecture by validation is trained on all shots, and tested beside the manual
    design and zero-shot CLIP.

    Parameters
    ----------
    device
        To train and test on, instead of that of the trials.
    resume
        Go on with an interrupted export; the choice that it made stays.

    Raises
    ------
    ExperimentError
        If the experiment is not ours, or no trial has ended well.
    DplError
        For any other bad input; nothing half-written is left behind.
    """
    config = experiment_config(experiment, device)
    evaluations = experiment_evaluations(experiment, config.space)
    best = best_of(evaluations)
    if best is None:
        raise ExperimentError(f"no trial of experiment {experiment.id} has ended well")
    search = config.strategy.search
    split = few_shot_split(
        load_task(config.task),
        config.shots,
        config.seed,
        search.validation,
        search.validation_shots,
    )
    # Before the folder is touched: bad input leaves nothing behind.
    load_backbone(config.space.backbone, config.device)
    with open_folder(folder, config, resume, overwrite=overwrite):
        if not (folder / "search.json").exists():
            record(
                config,
                SearchResult(
                    architecture=best.architecture,
                    strategy=config.strategy.name,
                    shots=config.shots,
                    seed=config.seed,
                    records=(),
                    stopped_by="trials"
                    if experiment.status == "DONE"
                    else experiment.status.lower(),
                    seconds=experiment.seconds,
                    labels_seen=len(split.train) + len(split.validation),
                    evaluations=evaluations,
                    cost=evaluations[-1].spent,
                    peak_bytes=max(each.peak_bytes for each in evaluations),
                    trial_steps=best.cost.steps,
                ),
                folder,
                nni={
                    "experiment": experiment.id,
                    "tuner": experiment.settings.get("tuner"),
                    "failed": experiment.failed,
                },
            )
    return run(config, folder, resume=True, observer=observer)
