"""One trial of an NNI experiment: a whole run, or one architecture.

``python -m dpl_nas.experiments.trial --space mini_clip --strategy darts`` is the command of a
trial. NNI's parameters are ``task``, ``seed``, ``shots``, ``space``, ``strategy``, ``device`` or
any key of the configuration, such as ``search.epochs``. Intermediate results are the validation
accuracy after each epoch of the search; the final result is the test accuracy, with the found
lengths beside it.

Where the parameters are lengths by label (``image/0`` ... ``text/11``), the trial trains and
validates that one architecture instead (:mod:`dpl_nas.experiments.architecture_trial`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nni

from dpl_nas.errors import DplError
from dpl_nas.experiments.architecture_trial import run_architecture
from dpl_nas.experiments.command import trial_config, trial_options
from dpl_nas.nni.search_space import is_architecture
from dpl_nas.observer import Observer, Stage
from dpl_nas.process.memory import keep_freed_memory
from dpl_nas.process.signals import ended_by_signals
from dpl_nas.process.threads import share_cores

if TYPE_CHECKING:
    from dpl_nas.runs import RunResult

__all__ = ["TrialObserver", "final_result", "main"]


class TrialObserver(Observer):
    """Reports the validation accuracy of each epoch of the search to NNI."""

    def advance(
        self, stage: str, done: int, metrics: Mapping[str, float], status: str = ""
    ) -> None:
        """Report an epoch of the search; the other stages have no intermediate results."""
        del done, status
        if stage == Stage.SEARCH and "validation_accuracy" in metrics:
            nni.report_intermediate_result(metrics["validation_accuracy"])


def final_result(result: RunResult, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a run for NNI's web page: ``default`` is what tuners maximise.

    ``parameters`` are those that the trial got. NNI gives them out in the order in which trials
    ask, so its page may show those of another trial that began at the same time.
    """
    test = result.test
    return {
        "default": test["found"].accuracy,
        "macro_f1": test["found"].macro_f1,
        **{name: each.accuracy for name, each in test.items() if name != "found"},
        "lengths": " | ".join(
            f"{tower} {' '.join(map(str, lengths))}" for tower, lengths in result.lengths.items()
        ),
        "parameters": " ".join(f"{name}={parameters[name]}" for name in sorted(parameters)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trial; returns the exit code, which is 2 for bad input."""
    share_cores()
    keep_freed_memory()
    options = trial_options(arguments)
    parameters: dict[str, Any] = nni.get_next_parameter() or {}
    chosen = is_architecture(parameters)
    try:
        config = trial_config(options, {} if chosen else parameters)
        if chosen:
            nni.report_final_result(run_architecture(config, parameters))
            return 0
        folder = _folder(options.out)
        from dpl_nas.runs import run

        result = run(config, folder, observer=TrialObserver())
    except DplError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    nni.report_final_result(final_result(result, parameters))
    return 0


def _folder(template: str | None) -> Path:
    if template is None:
        # NNI sets it; without it, this is a dry run of the command at a terminal.
        return Path(os.environ.get("NNI_OUTPUT_DIR", "runs/trial")) / "run"
    return Path(
        template.replace("{experiment}", str(nni.get_experiment_id())).replace(
            "{trial}", str(nni.get_trial_id())
        )
    )


if __name__ == "__main__":
    # A cancelled trial has not succeeded, but Lightning would end it with code 0.
    with ended_by_signals(lambda: "interrupted\n"):
        sys.exit(main())
