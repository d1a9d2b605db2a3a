import signal
import subprocess
import sys
from pathlib import Path

import pytest

ENDED = """
import time
from dpl_nas.process.signals import ended_by_signals
with ended_by_signals(lambda: "last words\\n"):
    print("ready", flush=True)
    try:
        time.sleep(60)
    finally:
        print("never said", flush=True)
"""
KEPT = """
import signal, time
from dpl_nas.process.signals import sigterm_kept
with sigterm_kept():
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    print("ready", flush=True)
    time.sleep(60)
"""


def told(script: str, number: int, *before: str) -> tuple[int, str, str]:
    with subprocess.Popen(
        [*before, sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs in the background ignores Ctrl-C, and so would all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_at_once_with_the_code_of_shells(number: int) -> None:
    assert told(ENDED, number) == (128 + number, "", "last words\n")


def test_the_default_is_kept_and_visible_to_others() -> None:
    assert told(KEPT, signal.SIGTERM) == (-signal.SIGTERM, "", "")


def test_what_is_ignored_stays_ignored() -> None:
    script = ENDED.replace("time.sleep(60)", "time.sleep(1)")
    code, out, err = told(script, signal.SIGHUP, "nohup")
    assert (code, out) == (0, "never said\n")
    assert "last words" not in err


def test_handlers_are_put_back() -> None:
    from dpl_nas.process.signals import ended_by_signals, sigterm_kept

    # A shell that runs tests in the background ignores Ctrl-C, and so would they.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with ended_by_signals(str), ended_by_signals(str), sigterm_kept():
        assert signal.getsignal(signal.SIGINT) != before[0]
    after = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    signal.signal(signal.SIGINT, inherited)
    assert after == before


KILLED = """
import os, signal, sys, time
from dpl_nas.process.pools import Pool
if __name__ == "__main__":
    with Pool(1) as pool:
        future = pool.submit(time.sleep, 600)
        pid = next(iter(pool._processes))
        time.sleep(float(sys.argv[1]))
        os.kill(pid, signal.SIGTERM)
        print(type(future.exception()).__name__)
"""


@pytest.mark.slow
@pytest.mark.parametrize("delay", ["0", "6"])
def test_sigterm_ends_a_process_of_a_pool_and_no_more(tmp_path: Path, delay: str) -> None:
    script = tmp_path / "parent.py"
    script.write_text(KILLED)
    done = subprocess.run(
        [sys.executable, script, delay], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "BrokenProcessPool\n"), done.stderr
