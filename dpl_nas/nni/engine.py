"""NNI's execution engine, run in this process without touching its global state."""

from __future__ import annotations

import time
from typing import Any

from nni.nas.execution import SequentialExecutionEngine
from nni.nas.execution.event import TrainingEndEvent
from nni.nas.space import ModelStatus

__all__ = ["InProcessEngine"]


class InProcessEngine(SequentialExecutionEngine):  # type: ignore[misc]
    """Runs each model here and now.

    NNI's sequential engine replaces the process's trial channel while a model runs, so that a
    trial of ``nnictl`` that searches could not report its intermediate results. One-shot
    strategies insist on that class; this one leaves the channel alone.
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
