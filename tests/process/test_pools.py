import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from typing import cast

import pytest

from dpl_nas.process.pools import Pool
from dpl_nas.process.threads import usable_cores


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def await_end(pid: int) -> None:
    deadline = time.monotonic() + 60
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def threads() -> int:
    import torch

    return torch.get_num_threads()


def remember(value: int) -> None:
    os.environ["REMEMBERED"] = str(value)


def remembered() -> tuple[int, str]:
    return os.getpid(), os.environ["REMEMBERED"]


def test_each_has_its_share_of_the_cores_and_is_prepared() -> None:
    with Pool(2, prepare=remember, arguments=(7,)) as pool:
        assert pool.submit(threads).result() == max(1, usable_cores() // 2)
        assert pool.submit(remembered).result()[1] == "7"
    assert "REMEMBERED" not in os.environ


def test_once_is_a_new_process_for_every_piece_of_work() -> None:
    with Pool(1, once=True) as pool:
        found = [pool.submit(os.getpid).result() for _ in range(2)]
    assert len({*found, os.getpid()}) == 3


def speak() -> str | None:
    os.write(1, b"out")
    os.write(2, b"err")
    return os.environ.get("SURROUNDINGS")


def test_processes_have_the_environment_and_streams_of_their_start(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with Pool(1) as pool:
        assert pool.submit(speak).result() is None
    assert capfd.readouterr() == ("out", "err")
    monkeypatch.setenv("SURROUNDINGS", "changed")
    capfd.readouterr()
    with Pool(1) as pool:
        assert pool.submit(speak).result() == "changed"
    assert capfd.readouterr() == ("out", "err")


def ran(text: str, place: Path, temporary: Path) -> "subprocess.CompletedProcess[str]":
    """A script that has run, with a folder of its own for temporary files."""
    script = place / "script.py"
    script.write_text(text)
    return subprocess.run(
        [sys.executable, script],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )


SPEAKING = """
import os
from dpl_nas.process.pools import Pool
if __name__ == "__main__":
    with Pool(1) as pool:
        print(pool.submit(os.write, 1, b"spoken\\n").result())
"""


def test_a_long_name_of_the_folder_of_temporary_files_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    done = ran(SPEAKING, tmp_path, folder)
    assert (done.stdout, done.stderr) == ("spoken\n7\n", "")


def test_an_error_ends_the_work_that_is_running() -> None:
    futures: list[Future[object]] = []

    def interrupted() -> None:
        with Pool(1) as pool:
            futures.append(pool.submit(os.getpid))
            futures[0].result()
            futures.extend(pool.submit(time.sleep, 600) for _ in range(2))
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert all(each.done() for each in futures)
    assert not alive(cast("int", futures[0].result()))


PARENT = """
import os, sys, time
from dpl_nas.process.pools import Pool
if __name__ == "__main__":
    pool = Pool(1)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 600)
    time.sleep(600)
"""


ENDED = """
import os, signal
from dpl_nas.process.pools import Pool
from dpl_nas.process.signals import ended_by_signals
if __name__ == "__main__":
    with ended_by_signals(lambda: "ended"), Pool(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_signal_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = ran(ENDED, tmp_path, temporary)
    assert (done.returncode, done.stderr) == (143, "ended")
    await_end(int(done.stdout))
    assert not list(temporary.iterdir())


INTERRUPTED = """
import signal, time
from dpl_nas.process.pools import Pool
if __name__ == "__main__":
    # A shell that runs in the background ignores Ctrl-C, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Pool(2) as pool:
        for _ in range(2):
            pool.submit(time.sleep, 600)
        print("started", flush=True)
        time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.3, 1.0, 3.0])
def test_ctrl_c_while_processes_start(tmp_path: Path, delay: float) -> None:
    script = tmp_path / "parent.py"
    script.write_text(INTERRUPTED)
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline()
        time.sleep(delay)
        # As the terminal does: to all of them.
        os.killpg(parent.pid, signal.SIGINT)
        try:
            _, errors = parent.communicate(timeout=200)
        except subprocess.TimeoutExpired:
            os.killpg(parent.pid, signal.SIGKILL)
            raise
    assert errors.count("Traceback") == errors.count("KeyboardInterrupt") == 1, errors


def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    await_end(pid)
