"""The present state of an NNI experiment, from its server or its database."""

from __future__ import annotations

import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpl_nas.errors import ExperimentError
from dpl_nas.nni.search_space import is_architecture
from dpl_nas.validation_score import validation_score

__all__ = [
    "Experiment",
    "ExperimentTrial",
    "find_experiment",
    "read_database",
    "read_port",
]

#: Statuses of an experiment that does not go on by itself; VIEWED is that of nnictl view.
_ENDED = frozenset({"DONE", "ERROR", "STOPPED", "VIEWED"})
#: The status in which NNI waits for ever.
_EXHAUSTED = "TUNER_NO_MORE_TRIAL"
#: Statuses of a trial that has no result and will have none.
_LOST = frozenset({"FAILED", "SYS_CANCELED", "USER_CANCELED", "EARLY_STOPPED"})
_OVER = _LOST | {"SUCCEEDED"}
_DEFAULT_PORT = 8080
_SECONDS = 10.0


@dataclass(frozen=True)
class ExperimentTrial:
    """One trial of an experiment.

    Attributes
    ----------
    status
        NNI's status: ``WAITING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED``, ...
    ended
        Time of its end in seconds since 1970; ``None`` while it runs.
    result
        Final result that it reported; ``None`` if it did not succeed.
    """

    id: str
    status: str
    ended: float | None
    result: Any = None


@dataclass(frozen=True)
class Experiment:
    """The state of an experiment at one moment.

    Attributes
    ----------
    settings
        Configuration of the experiment, with NNI's own keys, such as ``trialCommand``.
    seconds
        Duration so far, without the time between a stop and a resume.
    trials
        Trials in the order in which they ended; those that have not ended come last.
    """

    id: str
    status: str
    settings: Mapping[str, Any]
    seconds: float
    trials: tuple[ExperimentTrial, ...]

    @property
    def name(self) -> str:
        """The name of the experiment, or its id."""
        return str(self.settings.get("experimentName") or self.id)

    @property
    def most(self) -> int | None:
        """The most trials of the experiment, if they are limited."""
        return self.settings.get("maxTrialNumber")

    @property
    def succeeded(self) -> tuple[ExperimentTrial, ...]:
        """Trials that ended well, in the order in which they ended."""
        return tuple(each for each in self.trials if each.status == "SUCCEEDED")

    @property
    def failed(self) -> int:
        """Number of trials that failed or were cancelled."""
        return sum(each.status in _LOST for each in self.trials)

    @property
    def running(self) -> int:
        """Number of trials that run."""
        return sum(each.status == "RUNNING" for each in self.trials)

    @property
    def ended(self) -> bool:
        """Whether the experiment does not go on by itself."""
        return self.status in _ENDED

    @property
    def exhausted(self) -> bool:
        """Whether the tuner has no more trials and all have ended.

        For a moment after a result, the tuner may still propose more.
        """
        return self.status == _EXHAUSTED and all(each.status in _OVER for each in self.trials)

    @property
    def best(self) -> ExperimentTrial | None:
        """The trial with the best validation score.

        ``None`` in an experiment of whole runs: their results are of test images, by which
        nothing may be chosen.
        """
        if not is_architecture(self.settings.get("searchSpace") or {}):
            return None
        return max(
            (
                each
                for each in self.succeeded
                if isinstance(each.result, dict) and {"default", "loss"} <= set(each.result)
            ),
            key=lambda each: validation_score(each.result["default"], each.result["loss"]),
            default=None,
        )


def find_experiment(
    experiment: str | None = None, port: int | None = None, home: Path | None = None
) -> Experiment:
    """Find an experiment by its port on this machine, or by its id.

    If only the id is given and the experiment no longer runs, it is read from its database. If
    neither is given, the server at port 8080 is asked.

    Parameters
    ----------
    home
        Folder of NNI's list of experiments; ``~/nni-experiments`` by default.

    Raises
    ------
    ExperimentError
        If there is no such experiment, or the port has another.
    """
    if experiment is None:
        return read_port(_DEFAULT_PORT if port is None else port)
    if port is not None:
        found = read_port(port)
        if found.id != experiment:
            raise ExperimentError(
                f"port {port} belongs to experiment {found.id}, not to {experiment}: give only "
                "the port or only the id"
            )
        return found
    home = home or Path.home() / "nni-experiments"
    listed = _read_list(home).get(experiment, {})
    try:
        found = read_port(int(listed["port"]))
        if found.id == experiment:
            return found
    except (ExperimentError, KeyError, TypeError, ValueError):
        pass  # it runs no more
    return read_database(Path(listed.get("logDir") or home) / experiment)


def read_port(port: int) -> Experiment:
    """The experiment whose server listens on ``port`` of 127.0.0.1.

    Raises
    ------
    ExperimentError
        If there is no server of NNI.
    """
    try:
        profile = _ask(port, "experiment")
        status = _ask(port, "check-status")["status"]
        jobs = _ask(port, "trial-jobs")
        trials = [
            ExperimentTrial(
                job["trialJobId"],
                job["status"],
                job["endTime"] / 1000 if "endTime" in job else None,
                # The value is a string that is JSON itself.
                json.loads(json.loads(job["finalMetricData"][0]["data"]))
                if job.get("finalMetricData")
                else None,
            )
            for job in jobs
        ]
        return _experiment(profile, status, trials)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # HTTP errors and timeouts are OSErrors.
        raise ExperimentError(
            f"no NNI experiment answers at 127.0.0.1:{port}: give its port with --port, or its id"
        ) from None


def read_database(folder: Path) -> Experiment:
    """The experiment of NNI's database in ``folder``, running or not.

    Raises
    ------
    ExperimentError
        If there is no such database.
    """
    file = folder / "db" / "nni.sqlite"
    if not file.is_file():
        raise ExperimentError(
            f"there is no experiment {folder.name} ({file} does not exist): list the ids with "
            "nnictl experiment list --all"
        )
    try:
        # Read-only: a running experiment writes to it.
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as base:
            base.row_factory = sqlite3.Row
            profile = dict(
                base.execute("select * from ExperimentProfile order by revision desc").fetchone()
            )
            events = base.execute(
                "select trialJobId, event, timestamp from TrialJobEvent where trialJobId <> '' "
                "order by rowid"
            ).fetchall()
            metrics = base.execute(
                "select trialJobId, data from MetricData where type = 'FINAL' order by rowid desc"
            ).fetchall()
        profile["params"] = json.loads(profile["params"])
        results = {row["trialJobId"]: json.loads(json.loads(row["data"])) for row in metrics}
    except (sqlite3.Error, ValueError, TypeError) as problem:
        raise ExperimentError(f"cannot read the experiment in {file}: {problem}") from None
    latest = {
        row["trialJobId"]: row for row in events if not row["event"].startswith(("ADD_", "IMPORT"))
    }
    trials = []
    for name, row in latest.items():
        # NNI's name of a cancelled trial until it has ended.
        status = {"USER_TO_CANCEL": "USER_CANCELED"}.get(row["event"], row["event"])
        well = status == "SUCCEEDED"
        ended = row["timestamp"] / 1000 if well or status in _LOST else None
        trials.append(ExperimentTrial(name, status, ended, results.get(name) if well else None))
    found = _experiment(profile, "STOPPED", trials)
    whole = found.most is not None and len(found.succeeded) + found.failed >= found.most
    return _experiment(profile, "DONE" if whole else "STOPPED", trials)


def _experiment(
    profile: Mapping[str, Any], status: str, trials: list[ExperimentTrial]
) -> Experiment:
    return Experiment(
        id=profile["id"],
        status=status,
        settings=profile["params"],
        seconds=float(profile["execDuration"]),
        trials=tuple(
            sorted(trials, key=lambda each: float("inf") if each.ended is None else each.ended)
        ),
    )


def _ask(port: int, path: str) -> Any:
    # A proxy of the environment must not be used for this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/api/v1/nni/{path}", timeout=_SECONDS) as answer:
        return json.load(answer)


def _read_list(home: Path) -> dict[str, dict[str, Any]]:
    """NNI's own list of experiments by id; empty if there is none."""
    try:
        listed = json.loads((home / ".experiment").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return listed if isinstance(listed, dict) else {}
