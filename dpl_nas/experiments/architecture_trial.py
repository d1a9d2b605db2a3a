"""A trial of one architecture: NNI's parameters are its lengths, its result is validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nni

from dpl_nas.config import RunConfig
from dpl_nas.nni.search_space import architecture_of_parameters
from dpl_nas.observer import Observer, Stage

__all__ = ["TrainingObserver", "run_architecture"]


class TrainingObserver(Observer):
    """Reports the training accuracy and the loss of each epoch to NNI."""

    def advance(
        self, stage: str, done: int, metrics: Mapping[str, float], status: str = ""
    ) -> None:
        """Report an epoch of the training."""
        del done, status
        if stage == Stage.TRIAL:
            nni.report_intermediate_result(
                {"default": metrics["train_accuracy"], "loss": metrics["loss"]}
            )


def run_architecture(config: RunConfig, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Train the architecture on a part of the shots, and validate it on the rest.

    No test image is used. The strategy of ``config`` says how the architecture is trained, and
    where the validation images come from; its way to search is ignored.

    Parameters
    ----------
    parameters
        Lengths by label, for all layers of the space.

    Returns
    -------
    dict
        The final result for NNI: ``default`` is the validation accuracy in 0..1, which tuners
        maximise, and ``lengths`` are the lengths that were trained. NNI gives parameters out in
        the order in which trials ask, so its page may show those of another trial that began at
        the same time. ``right`` and ``losses`` are texts of single images, by which
        trials are compared.

    Raises
    ------
    ArchitectureError
        If the parameters are no architecture of the space.
    DplError
        For any other bad input.
    """
    architecture = architecture_of_parameters(config.space, parameters)
    # torch is slow to import: wrong lengths fail at once.
    from dpl_nas.engine import FewShotTrials, TrialSettings, peak_bytes
    from dpl_nas.engine.evaluation import right_as_text
    from dpl_nas.methods import problem_of_run

    problem = problem_of_run(config)
    problem.check(config.strategy.search)
    settings = TrialSettings(problem, config.strategy.search)
    trials = FewShotTrials(settings)
    outcome, seconds = trials.run(architecture, settings.epochs, observer=TrainingObserver())
    cost = trials.cost(settings.epochs)
    return {
        "default": outcome.accuracy,
        "loss": outcome.loss,
        "vectors": architecture.vectors,
        "lengths": architecture.describe(),
        "validation_images": outcome.images,
        "right": right_as_text(outcome.right),
        "losses": " ".join(map(repr, outcome.losses)),
        "epochs": settings.epochs,
        "steps": cost.steps,
        "images": cost.images,
        "seconds": seconds,
        "peak_bytes": peak_bytes(),
    }
