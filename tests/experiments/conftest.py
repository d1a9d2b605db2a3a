"""Real experiments with nnictl, each with a home of its own."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from dpl_nas.experiments.loopback import loopback_environment

REPOSITORY = Path(__file__).parents[2]
SECONDS = 240


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class Experiment:
    """An experiment from one of the repository's YAML files, in its own home."""

    def __init__(self, home: Path, file: str) -> None:
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
        self.port = _free_port()
        self.home = home
        self.settings: dict[str, Any] = yaml.safe_load((REPOSITORY / file).read_text())
        self.settings["experimentWorkingDirectory"] = str(home / "experiments")

    def create(self) -> None:
        """``nnictl create`` with the settings as they are now."""
        path = self.home / "experiment.yml"
        path.write_text(yaml.safe_dump(self.settings))
        self.control("create", "--config", str(path), "--port", str(self.port))

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
        """Addresses that the experiment's processes listen on, by port."""
        mine = [
            process.pid
            for process in psutil.process_iter(["cmdline"])
            if f"--port {self.port}" in " ".join(process.info["cmdline"] or ())
        ]
        return _listening(mine, self.port)

    def wait(self) -> str:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            status: str = self.get("check-status")["status"]
            if status in {"DONE", "ERROR", "STOPPED"}:
                return status
            time.sleep(1)
        return "still going"


def _listening(processes: list[int], port: int = 0) -> dict[int, set[str]]:
    """Addresses that the processes with all their children listen on, and who else on port."""
    family = set(processes)
    for pid in processes:
        # Some live only for a moment.
        with suppress(psutil.NoSuchProcess):
            family |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
    found: dict[int, set[str]] = {}
    for connection in psutil.net_connections("inet"):
        if connection.status == psutil.CONN_LISTEN and (
            connection.pid in family or connection.laddr.port == port
        ):
            found.setdefault(connection.laddr.port, set()).add(connection.laddr.ip)
    return found


def _at_home(home: Path) -> list[psutil.Process]:
    """The processes whose HOME this is."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("HOME") == str(home):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def at_home() -> Callable[[Path], list[psutil.Process]]:
    """Finds the processes whose HOME is a folder."""
    return _at_home


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Finds a port of 127.0.0.1 that nobody listens on."""
    return _free_port


@pytest.fixture
def listening() -> Callable[[list[int]], dict[int, set[str]]]:
    """Tells the addresses that some processes and their children listen on, by port."""
    return _listening


@pytest.fixture
def experiment_of(tmp_path: Path) -> Iterator[Callable[[str], Experiment]]:
    """Makes the experiment of a YAML file, not created yet; it is stopped afterwards."""
    made = []

    def make(file: str) -> Experiment:
        home = tmp_path / "home"
        home.mkdir()
        made.append(Experiment(home, file))
        return made[-1]

    yield make
    for each in made:
        try:
            each.control("stop", "--all")
        finally:
            # What hangs outlives nnictl.
            for process in _at_home(each.home):
                process.kill()
