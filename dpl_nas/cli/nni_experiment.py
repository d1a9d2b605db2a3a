"""``dpl-nas nni watch`` and ``dpl-nas nni export``: an experiment, and what it found."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpl_nas.cli.options import JsonOption, OutOption, OverwriteOption, QuietOption, ResumeOption
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.cli.tables import show_files, show_result

if TYPE_CHECKING:
    from dpl_nas.experiments.experiment import Experiment
    from dpl_nas.observer import Observer

__all__ = ["export", "watch"]

_STAGE = "trials"
#: A server that fails to answer this often in a row has ended.
_MISSES = 3
#: An experiment that is found exhausted this often in a row does not go on.
_LOOKS = 2
_MEANINGS = {
    "TUNER_NO_MORE_TRIAL": "the tuner has no more architectures to try; end it with nnictl stop",
    "VIEWED": "nnictl view shows it, but it does not run",
}

ExperimentArgument = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="ID of the experiment; nnictl prints it.")
]
PortOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=65535, help="Port of NNI's server on this machine; 8080 if no ID is given."
    ),
]


def watch(
    experiment: ExperimentArgument = None,
    port: PortOption = None,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two updates.")] = 2.0,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Follow an NNI experiment until it is done; exit with 1 if it ends in an error.

    Show how many trials are done, running and failed, the time left, and the best lengths.
    """
    from dpl_nas.experiments.command import command_options
    from dpl_nas.experiments.experiment import find_experiment

    found = find_experiment(experiment, port)
    command_options(str(found.settings.get("trialCommand", "")))
    with job(quiet=quiet) as observer:
        found = _followed(found, port, every, observer)
    summary = _summary(found)
    if json:
        print_json(summary)
    else:
        _show(summary)
    if found.status == "ERROR":
        raise typer.Exit(1)


def export(
    out: OutOption,
    experiment: ExperimentArgument = None,
    port: PortOption = None,
    device: Annotated[
        str | None, typer.Option(help="Device: cpu, cuda or cuda:N; by default that of the trials.")
    ] = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make a run folder of an NNI experiment: train its best lengths on all shots, and test them.

    Give the ID if the experiment no longer runs.
    """
    from dpl_nas.experiments.experiment import find_experiment

    found = find_experiment(experiment, port)
    with job(quiet=quiet, folder=out) as observer:
        from dpl_nas.experiments.export import export as export_experiment

        result = export_experiment(
            found, out, device=device, resume=resume, overwrite=overwrite, observer=observer
        )
    if json:
        print_json(result.to_json())
    else:
        show_result(console(), result)
        show_files(console(), out)


def _followed(
    experiment: Experiment, port: int | None, every: float, observer: Observer
) -> Experiment:
    """The experiment once it has ended."""
    from dataclasses import replace

    from dpl_nas.errors import ExperimentError
    from dpl_nas.experiments.experiment import find_experiment

    observer.begin(_STAGE, experiment.most or 0, _ended(experiment))
    misses = looks = 0
    told = None
    while True:
        if (state := (_ended(experiment), experiment.running)) != told:
            _tell(experiment, observer)
            told = state
        looks = looks + 1 if experiment.exhausted else 0
        if experiment.ended or looks >= _LOOKS:
            break
        time.sleep(every)
        try:
            experiment = find_experiment(experiment.id, port)
            misses = 0
        except ExperimentError:
            misses += 1
            if misses >= _MISSES:
                # nnictl stop ends the server without a last word.
                experiment = replace(experiment, status="STOPPED")
    observer.end(_STAGE)
    return experiment


def _ended(experiment: Experiment) -> int:
    return len(experiment.succeeded) + experiment.failed


def _tell(experiment: Experiment, observer: Observer) -> None:
    metrics: dict[str, float] = {"running": experiment.running, "failed": experiment.failed}
    best = experiment.best
    if best is not None:
        metrics["best"] = best.result["default"]
    observer.advance(
        _STAGE, _ended(experiment), metrics, best.result["lengths"] if best is not None else ""
    )


def _summary(experiment: Experiment) -> dict[str, Any]:
    best = experiment.best
    return {
        "id": experiment.id,
        "name": experiment.name,
        "status": experiment.status,
        "seconds": experiment.seconds,
        "trials": {
            "succeeded": len(experiment.succeeded),
            "failed": experiment.failed,
            "running": experiment.running,
            "most": experiment.most,
        },
        "best": best
        and {
            "trial": best.id,
            "validation_accuracy": best.result["default"],
            "loss": best.result["loss"],
            "vectors": best.result["vectors"],
            "lengths": best.result["lengths"],
        },
    }


def _show(summary: dict[str, Any]) -> None:
    trials, best = summary["trials"], summary["best"]
    meaning = _MEANINGS.get(summary["status"], "")
    most = "" if trials["most"] is None else f" of {trials['most']}"
    ended = f"{trials['succeeded']}{most} ended well, {trials['failed']} failed"
    lines = [
        f"{summary['name']} ({summary['id']}) is {summary['status']}{meaning and f': {meaning}'}",
        f"trials {ended}, {summary['seconds']:.0f} s",
    ]
    if best is not None:
        accuracy = f"{best['validation_accuracy']:.1%} validation accuracy"
        lines.append(f"best   {accuracy}, {best['vectors']} context vectors")
        for part in best["lengths"].split(" | "):
            tower, _, lengths = part.partition(" ")
            lines.append(f"{tower:<6} {lengths}")
    for line in lines:
        console().print(line, highlight=False)
