"""NNI's remote service on two workers behind a real SSH server, as docs/how-to/remote.md tells.

The server is OpenSSH's sshd where there is one, and asyncssh's otherwise. Both workers are this
machine: they look for NNI on 127.0.0.2, where nobody but the forwarded port answers, because
NNI listens on 127.0.0.1.
"""

import getpass
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from dpl_nas.experiments.worker import write_worker

REPOSITORY = Path(__file__).parents[2]
MANAGER = "127.0.0.2"
SEEDS = [1, 2, 3, 4]
SSH, KEYGEN = shutil.which("ssh"), shutil.which("ssh-keygen")

SSHD = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {host_key}
AuthorizedKeysFile {authorized}
PasswordAuthentication no
UsePAM no
# The folders of tests may be written by all.
StrictModes no
PidFile none
Subsystem sftp internal-sftp
SetEnv HOME={home}
# So that the test may listen on an address of its own.
GatewayPorts clientspecified
"""


@dataclass(frozen=True)
class Machine:
    """The other side: where its SSH server is, and who may log in."""

    port: int
    key: Path
    home: Path


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """What ``condition`` gives as soon as that is something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"no {what} in {seconds} s")


def answers(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as client:
        return client.connect_ex((host, port)) == 0


def speaks_ssh(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            return client.recv(4) == b"SSH-"
    except OSError:
        return False


def make_key(path: Path) -> Path:
    command = [str(KEYGEN), "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def server_command(folder: Path, port: int, host_key: Path, authorized: Path) -> list[str]:
    """Of OpenSSH's server if it is installed and would start, else of asyncssh's."""
    home = folder / "worker"
    settings = folder / "sshd_config"
    settings.write_text(SSHD.format(port=port, host_key=host_key, authorized=authorized, home=home))
    sshd = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
    if (
        sshd
        and not subprocess.run(
            [sshd, "-t", "-f", str(settings)], capture_output=True, timeout=60, check=False
        ).returncode
    ):
        return [sshd, "-D", "-e", "-f", str(settings)]
    script = Path(__file__).with_name("ssh_server.py")
    return [sys.executable, *map(str, (script, port, host_key, authorized, home))]


@pytest.fixture
def machine(
    tmp_path: Path,
    free_port: Callable[[], int],
    at_home: Callable[[Path], list[psutil.Process]],
) -> Iterator[Machine]:
    key, host_key = make_key(tmp_path / "id_rsa"), make_key(tmp_path / "host_key")
    made = Machine(free_port(), key, tmp_path / "worker")
    made.home.mkdir()
    command = server_command(tmp_path, made.port, host_key, key.with_suffix(".pub"))
    with (tmp_path / "ssh_server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until(lambda: speaks_ssh(made.port) or server.poll() is not None, 60, "SSH server")
            assert server.poll() is None, (tmp_path / "ssh_server.log").read_text()
            yield made
        finally:
            server.terminate()
            server.wait(timeout=30)
            for process in at_home(made.home):
                process.kill()


@pytest.fixture
def tunnel(
    machine: Machine, tmp_path: Path, free_port: Callable[[], int]
) -> Iterator[Callable[[int], list[int]]]:
    """Opens what the file's first lines open, and tells the local ports of two workers."""
    opened: list[subprocess.Popen[bytes]] = []

    def connect(manager_port: int) -> list[int]:
        ports = [free_port(), free_port()]
        forwarded = [f"-L{port}:127.0.0.1:{machine.port}" for port in ports]
        opened.append(
            subprocess.Popen(
                [
                    *(
                        str(SSH),
                        "-N",
                        "-F",
                        "none",
                        "-p",
                        str(machine.port),
                        "-i",
                        str(machine.key),
                    ),
                    *("-o", "ExitOnForwardFailure=yes", "-o", "BatchMode=yes"),
                    *("-o", "StrictHostKeyChecking=accept-new"),
                    *("-o", f"UserKnownHostsFile={tmp_path / 'known_hosts'}"),
                    f"-R{MANAGER}:{manager_port}:127.0.0.1:{manager_port}",
                    *forwarded,
                    f"{getpass.getuser()}@127.0.0.1",
                ]
            )
        )
        until(lambda: all(map(speaks_ssh, ports)), 60, "tunnel")
        return ports

    yield connect
    for each in opened:
        each.terminate()
        each.wait(timeout=30)


@pytest.mark.slow
@pytest.mark.skipif(not (SSH and KEYGEN), reason="needs OpenSSH's client")
def test_from_create_to_done(
    machine: Machine, tunnel, experiment_of, at_home, listening, tmp_path: Path, mini_weights: Path
) -> None:
    experiment = experiment_of("dpl_remote.yml")
    assert not answers(experiment.port, MANAGER)
    local_ports = tunnel(experiment.port)
    settings = experiment.settings
    settings["searchSpace"] = {"seed": {"_type": "choice", "_value": SEEDS}}
    # The trials import the code that is tested, and there are as many as there are cores.
    settings["trialCommand"] = settings["trialCommand"].replace(
        "python -m dpl_nas.experiments.trial",
        f"PYTHONPATH={REPOSITORY} OMP_NUM_THREADS=1 python -m dpl_nas.experiments.trial --shots 2 "
        "search.epochs=1 train.epochs=1 search.early_stop=null "
        f"space.backbone.pretrained={mini_weights}",
    )
    settings["trialCodeDirectory"] = str(REPOSITORY / settings["trialCodeDirectory"])
    settings["nniManagerIp"] = MANAGER
    settings["maxTrialNumber"] = len(SEEDS)
    workers = settings["trainingService"]["machineList"]
    assert len(workers) == len(local_ports)
    for worker, port in zip(workers, local_ports, strict=True):
        worker.update(
            port=port,
            user=getpass.getuser(),
            sshKeyFile=str(machine.key),
            pythonPath=str(write_worker(tmp_path / "worker_python")),
        )
    experiment.create()

    def trials() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = experiment.get("trial-jobs")
        return found

    # No process of either side can be reached from another machine; MANAGER is the tunnel.
    assert experiment.servers() == {experiment.port: {"127.0.0.1", MANAGER}}
    victim = until(
        lambda: next((each for each in trials() if each["status"] == "RUNNING"), None),
        120,
        "running trial",
    )
    open_ports = listening([process.pid for process in at_home(machine.home)])
    assert set().union(*open_ports.values()) == {"127.0.0.1"}

    def process_of_the_victim() -> psutil.Process | None:
        for process in at_home(machine.home):
            with suppress(psutil.NoSuchProcess):
                if (
                    "dpl_nas.experiments.trial" in process.cmdline()
                    and process.environ()["NNI_TRIAL_JOB_ID"] == victim["trialJobId"]
                ):
                    return process
        return None

    until(process_of_the_victim, 30, "process of the trial").kill()
    status = experiment.wait()
    logs = [path.read_text() for path in machine.home.rglob("trial.stderr")]
    assert status == "DONE", logs
    ended = {each["trialJobId"]: each["status"] for each in trials()}
    assert len(ended) == len(SEEDS)
    assert ended.pop(victim["trialJobId"]) == "FAILED"
    assert set(ended.values()) == {"SUCCEEDED"}, logs

    finals = {
        metric["trialJobId"]: json.loads(json.loads(metric["data"]))
        for metric in experiment.get("metric-data")
        if metric["type"] == "FINAL"
    }
    saved = {path.parents[1].name: json.loads(path.read_text()) for path in results(machine)}
    assert set(finals) == set(saved) == set(ended)
    for trial, result in saved.items():
        assert finals[trial]["default"] == result["test"]["found"]["accuracy"]
        assert finals[trial]["parameters"] == f"seed={result['seed']}"
    # Both workers had work.
    assert len({path.parents[3].name for path in results(machine)}) == len(workers)

    experiment.control("stop", "--all")
    until(lambda: not at_home(machine.home), 30, "end of the workers' processes")


def results(machine: Machine) -> list[Path]:
    return list(machine.home.rglob("run/result.json"))
