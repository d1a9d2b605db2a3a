"""A real experiment with nnictl, from create to DONE, kept on 127.0.0.1."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from dpl_nas.nni.loopback import loopback_environment

REPOSITORY = Path(__file__).parents[2]
SECONDS = 240
EPOCHS = 2


class Experiment:
    """An experiment with its own home, so that it meets no other."""

    def __init__(self, home: Path, overrides: str) -> None:
        scripts = Path(sys.executable).parent
        self.environment = loopback_environment(
            {
                **os.environ,
                "HOME": str(home),
                "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
                "OMP_NUM_THREADS": "1",
            }
        )
        self.nnictl = str(scripts / "nnictl")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        settings = yaml.safe_load((REPOSITORY / "dpl_darts.yml").read_text())
        settings["searchSpace"] = {
            "task": {"_type": "choice", "_value": ["mini/digits"]},
            "seed": {"_type": "choice", "_value": [1]},
        }
        settings["trialCommand"] += f" {overrides}"
        settings["trialCodeDirectory"] = str(REPOSITORY)
        settings["experimentWorkingDirectory"] = str(home / "experiments")
        settings["maxTrialNumber"] = 1
        self.file = home / "experiment.yml"
        self.file.write_text(yaml.safe_dump(settings))

    def control(self, *arguments: str) -> str:
        done = subprocess.run(
            [self.nnictl, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.port}/api/v1/nni/{path}", timeout=10
        ) as answer:
            return json.load(answer)

    def servers(self) -> dict[int, set[str]]:
        """Addresses that the experiment's processes listen on, by process."""
        mine = [
            process.pid
            for process in psutil.process_iter(["cmdline"])
            if f"--port {self.port}" in " ".join(process.info["cmdline"] or ())
        ]
        family = {
            child.pid
            for pid in mine
            for child in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
        }
        found: dict[int, set[str]] = {}
        for connection in psutil.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN and (
                connection.pid in family or connection.laddr.port == self.port
            ):
                found.setdefault(connection.laddr.port, set()).add(connection.laddr.ip)
        return found

    def wait(self) -> str:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            status: str = self.get("check-status")["status"]
            if status in {"DONE", "ERROR", "STOPPED"}:
                return status
            time.sleep(1)
        return "still going"


@pytest.fixture
def experiment(tmp_path: Path, mini_weights: Path) -> Iterator[Experiment]:
    created = Experiment(
        tmp_path,
        "--shots 4 search.epochs=2 train.epochs=1 search.early_stop=null "
        f"space.backbone.pretrained={mini_weights}",
    )
    try:
        created.control("create", "--config", str(created.file), "--port", str(created.port))
        yield created
    finally:
        created.control("stop", "--all")


@pytest.mark.slow
def test_from_create_to_done(experiment: Experiment, tmp_path: Path) -> None:
    assert experiment.servers() == {experiment.port: {"127.0.0.1"}}
    status = experiment.wait()
    logs = [path.read_text() for path in tmp_path.rglob("stderr")]
    assert status == "DONE", logs

    (trial,) = experiment.get("trial-jobs")
    assert trial["status"] == "SUCCEEDED", logs
    metrics = experiment.get("metric-data")
    intermediate = [
        json.loads(json.loads(metric["data"]))
        for metric in metrics
        if metric["type"] == "PERIODICAL"
    ]
    assert len(intermediate) == EPOCHS
    assert all(0 <= accuracy <= 1 for accuracy in intermediate)
    (final,) = [
        json.loads(json.loads(metric["data"])) for metric in metrics if metric["type"] == "FINAL"
    ]
    assert set(final) == {"default", "macro_f1", "uniform", "zero_shot", "lengths"}
    (saved,) = tmp_path.rglob("result.json")
    result = json.loads(saved.read_text())
    assert final["default"] == result["test"]["found"]["accuracy"]
    image, text = final["lengths"].split(" | ")
    assert image == f"image {' '.join(map(str, result['lengths']['image']))}"
    assert text == f"text {' '.join(map(str, result['lengths']['text']))}"

    experiment.control("stop", "--all")
    with pytest.raises(urllib.error.URLError):
        experiment.get("check-status")
