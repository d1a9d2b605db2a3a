"""Experiments that are not there, or not as they should be."""

import http.server
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dpl_nas.errors import ExperimentError
from dpl_nas.experiments.experiment import (
    Experiment,
    ExperimentTrial,
    find_experiment,
    read_database,
    read_port,
)

LENGTHS = {"image/0": {"_type": "choice", "_value": [0, 1]}}


@pytest.fixture
def stranger() -> Iterator[int]:
    """The port of a server that is not NNI's."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "fine"}')

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_nobody_listens(free_port: Callable[[], int]) -> None:
    with pytest.raises(ExperimentError, match=r"no NNI experiment answers at 127.0.0.1:\d+"):
        read_port(free_port())


def test_somebody_else_listens(stranger: int) -> None:
    with pytest.raises(ExperimentError, match="no NNI experiment answers"):
        find_experiment("abc", stranger)


def test_a_proxy_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, stranger: int, free_port: Callable[[], int]
) -> None:
    # This proxy would answer; the machine itself does not.
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{stranger}")
    with pytest.raises(ExperimentError):
        read_port(free_port())


def test_unknown_ids(tmp_path: Path) -> None:
    with pytest.raises(
        ExperimentError, match=r"there is no experiment abc .*nni\.sqlite does not exist"
    ):
        find_experiment("abc", home=tmp_path)
    (tmp_path / ".experiment").write_text("no JSON")
    with pytest.raises(ExperimentError, match="there is no experiment abc"):
        find_experiment("abc", home=tmp_path)


def database(folder: Path) -> sqlite3.Connection:
    (folder / "db").mkdir(parents=True)
    base = sqlite3.connect(folder / "db" / "nni.sqlite")
    base.execute("create table ExperimentProfile (params, id, execDuration, revision)")
    base.execute("create table TrialJobEvent (timestamp, trialJobId, event, data)")
    base.execute("create table MetricData (timestamp, trialJobId, type, data)")
    return base


def test_what_a_killed_experiment_leaves(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """The tables are those of NNI 3.0, as test_architectures.py finds them."""
    folder = tmp_path / "elsewhere" / "abc"
    with closing(database(folder)) as base, base:
        for revision, seconds in ((1, 5), (3, 9), (2, 7)):
            settings = json.dumps({"searchSpace": LENGTHS, "maxTrialNumber": 9})
            row = (settings, "abc", seconds, revision)
            base.execute("insert into ExperimentProfile values (?, ?, ?, ?)", row)
        events = {
            "a": ["WAITING", "RUNNING", "SUCCEEDED"],
            "b": ["WAITING", "RUNNING", "FAILED"],
            "c": ["WAITING", "RUNNING", "SUCCEEDED"],
            "d": ["WAITING", "RUNNING", "ADD_RESUMED"],
            "e": ["WAITING", "RUNNING", "USER_TO_CANCEL"],
            "": ["IMPORT_DATA"],
        }
        for trial, happened in events.items():
            for at, event in enumerate(happened):
                late = 1000 * (50 if trial == "a" else at)
                row = (late, trial, event, None)
                base.execute("insert into TrialJobEvent values (?, ?, ?, ?)", row)
        for trial, kind, loss in (
            ("a", "FINAL", 0.5),
            ("c", "FINAL", 0.25),
            ("d", "PERIODICAL", 9),
        ):
            data = json.dumps(json.dumps({"default": 0.75, "loss": loss}))
            base.execute("insert into MetricData values (0, ?, ?, ?)", (trial, kind, data))
    listed = {"abc": {"port": free_port(), "logDir": str(tmp_path / "elsewhere")}}
    (tmp_path / ".experiment").write_text(json.dumps(listed))
    found = find_experiment("abc", home=tmp_path)
    assert (found.status, found.seconds, found.most, found.name) == ("STOPPED", 9, 9, "abc")
    # In the order in which they ended.
    assert [each.id for each in found.succeeded] == ["c", "a"]
    assert (found.failed, found.running) == (2, 1)
    assert found.best is not None
    assert found.best.result == {"default": 0.75, "loss": 0.25}


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_damaged_databases(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "abc/db").mkdir(parents=True)
    (tmp_path / "abc/db/nni.sqlite").write_bytes(content)
    with pytest.raises(ExperimentError, match="cannot read the experiment in"):
        read_database(tmp_path / "abc")


def test_whole_runs_have_no_best() -> None:
    trials = (ExperimentTrial("a", "SUCCEEDED", 1.0, {"default": 0.5, "loss": 1.0}),)
    settings = {"searchSpace": {"seed": {"_type": "choice", "_value": [1, 2]}}}
    assert Experiment("abc", "DONE", settings, 1.0, trials).best is None
    settings = {"searchSpace": LENGTHS}
    assert Experiment("abc", "DONE", settings, 1.0, trials).best == trials[0]
