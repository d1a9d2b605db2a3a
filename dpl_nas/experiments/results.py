"""The results of an experiment of architectures, as those of a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dpl_nas.config import RunConfig
from dpl_nas.engine.cost import Cost
from dpl_nas.engine.evaluation import Evaluation, Outcome, right_from_text
from dpl_nas.errors import ArchitectureError, ExperimentError
from dpl_nas.experiments.command import command_options, trial_config
from dpl_nas.experiments.experiment import Experiment
from dpl_nas.io.presets import preset_names
from dpl_nas.nni.search_space import is_architecture, parse_architecture
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Space

__all__ = ["experiment_config", "experiment_evaluations"]


def experiment_config(experiment: Experiment, device: str | None = None) -> RunConfig:
    """The configuration that all trials of an experiment have in common.

    Parameters
    ----------
    device
        Device instead of that of the trials.

    Raises
    ------
    ExperimentError
        If its trials are not of dpl_nas, or not of one architecture each.
    DplError
        If the command of its trials is not valid here.
    """
    settings = experiment.settings
    options = command_options(str(settings.get("trialCommand", "")))
    if not is_architecture(settings.get("searchSpace") or {}):
        raise ExperimentError(
            f"each trial of experiment {experiment.id} is a whole run in its own folder, so there "
            "is nothing to export: give an experiment that searches lengths, such as that of "
            "dpl_random.yml"
        )
    code = Path(str(settings.get("trialCodeDirectory", ".")))
    for name in ("task", "space", "strategy"):
        setattr(options, name, _locate(getattr(options, name), code))
    config = trial_config(options, {"device": device} if device else {})
    most = experiment.most
    return config.model_copy(
        update={
            "budget": SearchBudget(trials=most) if most else None,
            "jobs": int(settings.get("trialConcurrency", 1)),
        }
    )


def experiment_evaluations(experiment: Experiment, space: Space) -> tuple[Evaluation, ...]:
    """Every trial that ended well, in the order in which the tuner saw them.

    Failed trials are left out: NNI may have mixed up their parameters, so their architectures are
    not known.

    Raises
    ------
    ExperimentError
        If no trial ended well, or they are not of this space.
    """
    found: list[Evaluation] = []
    spent = Cost()
    for trial in experiment.succeeded:
        try:
            result: dict[str, Any] = trial.result
            cost = Cost(int(result["steps"]), int(result["images"]), float(result["seconds"]))
            spent += cost
            found.append(
                Evaluation(
                    number=len(found),
                    architecture=parse_architecture(space, result["lengths"]),
                    epochs=int(result["epochs"]),
                    outcome=_outcome(result),
                    cost=cost,
                    spent=spent,
                    peak_bytes=int(result["peak_bytes"]),
                )
            )
        except ArchitectureError as error:
            raise ExperimentError(
                f"trial {trial.id} of experiment {experiment.id} does not fit space {space.name}: "
                f"{error}"
            ) from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ExperimentError(
                f"trial {trial.id} of experiment {experiment.id} has a result that this version "
                "of dpl_nas cannot read: export with the version that ran it"
            ) from None
    if not found:
        raise ExperimentError(
            f"no trial of experiment {experiment.id} has ended well ({experiment.failed} failed, "
            f"{experiment.running} still running): wait, or read the trials' stderr"
        )
    return tuple(found)


def _outcome(result: dict[str, Any]) -> Outcome:
    """What a trial reported; older versions told nothing of single images."""
    images = int(result["validation_images"])
    right = right_from_text(result.get("right", ""))
    losses = tuple(map(float, result.get("losses", "").split()))
    if len(right) != len(losses) or len(right) not in (0, images):
        raise ValueError(f"expected {images} images, found {len(right)} and {len(losses)}")
    return Outcome(float(result["default"]), float(result["loss"]), images, right, losses)


def _locate(value: str, code: Path) -> str:
    """A name as it is; a path relative to ``code``, in which trials start."""
    if value in {*preset_names("search_spaces"), *preset_names("strategies")}:
        return value
    path = code / value
    return str(path) if not Path(value).is_absolute() and path.exists() else value
