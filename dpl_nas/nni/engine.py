"""NNI's execution engines, run in this process without touching its global state."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from nni.nas.execution import ExecutionEngine, SequentialExecutionEngine
from nni.nas.execution.event import FinalMetricEvent, TrainingEndEvent
from nni.nas.space import ExecutableModelSpace, ModelStatus

from dpl_nas.engine import Evaluation, TrialEngine

__all__ = ["InProcessEngine", "TrialExecutionEngine"]


class InProcessEngine(SequentialExecutionEngine):  # type: ignore[misc]
    """Runs each model at once in this process.

    One-shot strategies insist on NNI's sequential engine. It replaces the process's trial channel
    while a model runs, so a trial of ``nnictl`` that searches could not report its intermediate
    results. This subclass leaves the channel alone.
    """

    def _run_single_model(self, model: Any) -> None:
        model.status = ModelStatus.Training
        started = time.monotonic()
        status = ModelStatus.Failed
        try:
            model.execute()
            status = ModelStatus.Trained
        except KeyboardInterrupt:
            status = ModelStatus.Interrupted
            raise
        finally:
            self._total_duration += time.monotonic() - started
            self.dispatch_model_event(TrainingEndEvent(model, status))


class TrialExecutionEngine(ExecutionEngine):  # type: ignore[misc]
    """Runs the models of NNI's strategies as trials of a search.

    A model is an architecture, which its sample names; the model is never built. To wait for a
    worker is to wait for the earliest result. So nothing sleeps, and the seed decides the order
    of the results.

    Parameters
    ----------
    trials
        Engine that runs the trials.
    reward
        Function of the number that strategies maximise.
    ahead
        Whether the strategy asks for more models before it sees a result, as it does not depend
        on any. They are then trained side by side.
    """

    def __init__(
        self, trials: TrialEngine, reward: Callable[[Evaluation], float], *, ahead: bool = False
    ) -> None:
        super().__init__()
        self._ahead = ahead
        self._trials = trials
        self._reward = reward
        self._models: list[ExecutableModelSpace] = []
        self._running: deque[ExecutableModelSpace] = deque()

    def submit_models(self, *models: ExecutableModelSpace) -> None:
        """Begin a trial of each model."""
        space = self._trials.settings.problem.space
        for model in models:
            if not self.idle_worker_available() or not self.budget_available():
                # The strategy did not ask for the budget: what it submits beyond is not run.
                self.dispatch_model_event(TrainingEndEvent(model, ModelStatus.Interrupted))
                continue
            sample = {str(label): int(length) for label, length in model.sample.items()}
            self._trials.submit(space.architecture(sample))
            model.status = ModelStatus.Training
            self._models.append(model)
            self._running.append(model)
            if self._trials.jobs == 1:
                self._make_room()

    def wait_models(self, *models: ExecutableModelSpace) -> None:
        """Wait for these models, or all of them."""
        while self._running and (
            not models or any(not model.status.completed() for model in models)
        ):
            self._collect()

    def list_models(self, status: ModelStatus | None = None) -> Iterable[ExecutableModelSpace]:
        """List all models, or those of one status."""
        return [model for model in self._models if status is None or model.status == status]

    def idle_worker_available(self) -> bool:
        """Wait until a worker is idle; returns true."""
        self._make_room()
        return True

    def budget_available(self) -> bool:
        """Whether there can be one more trial."""
        return self._trials.affords()

    def shutdown(self) -> None:
        """Do nothing: the caller owns the trials and closes them."""

    def _make_room(self) -> None:
        for _ in range(self._trials.due(ahead=self._ahead)):
            self._collect()

    def _collect(self) -> None:
        model = self._running.popleft()
        evaluation = self._trials.collect()
        if evaluation.outcome is None:
            self.dispatch_model_event(TrainingEndEvent(model, ModelStatus.Failed))
            return
        self.dispatch_model_event(FinalMetricEvent(model, self._reward(evaluation)))
        self.dispatch_model_event(TrainingEndEvent(model, ModelStatus.Trained))
