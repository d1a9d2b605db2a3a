"""Ctrl-C, SIGTERM and SIGHUP at any moment: 130, 143 or 129, one line, and no traceback."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def started(*arguments: object) -> "subprocess.Popen[str]":
    """The program, as soon as its main function runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dpl_nas", *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    status = Path(f"/proc/{process.pid}/status")
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        caught = next(
            int(line.split()[1], 16)
            for line in status.read_text().splitlines()
            if line.startswith("SigCgt")
        )
        # Python itself handles Ctrl-C, and nothing else.
        if caught >> (signal.SIGHUP - 1) & 1:
            break
        time.sleep(0.001)
    return process


def ended(process: "subprocess.Popen[str]", number: int) -> str:
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number, err
    return err


@pytest.mark.parametrize("tenths", [0, 1, 3, 7, 12, 20, 40])
def test_at_any_moment(tmp_path: Path, tenths: int) -> None:
    out = tmp_path / "out"
    for number in NUMBERS:
        going = started(
            *("train", "--length", "1", "--task", "mini/digits", "--shots", "4", "--quiet"),
            *("--out", out, "train.epochs=4000", "--overwrite"),
        )
        time.sleep(tenths / 10)
        lines = ended(going, number).splitlines()
        assert len(lines) == 1
        hint = f"interrupted; give the same command with --resume to go on with {out}"
        assert lines[0] in ("interrupted", hint)


@pytest.mark.parametrize("delay", [0, 0.05, 0.1, 0.2])
def test_also_where_there_is_little_to_do(delay: float) -> None:
    for number in NUMBERS:
        going = started("--help")
        time.sleep(delay)
        going.send_signal(number)
        _, err = going.communicate(timeout=120)
        # It may be done already.
        assert (going.returncode, err) in [(128 + number, "interrupted\n"), (0, "")]


@pytest.mark.parametrize("strategy", ["darts", "one_shot"])
def test_sigterm_while_a_supernet_trains(
    strategy: str, tmp_path: Path, image_folder: Path, mini_weights: Path
) -> None:
    out = tmp_path / "out"
    going = started(
        *("run", "--task", image_folder, "--shots", "4", "--strategy", strategy, "--out", out),
        *("--budget", "9000-steps", "search.epochs=900", "train.epochs=2"),
        f"space.backbone.pretrained={mini_weights}",
    )
    ledger = out / "ledger.jsonl"
    deadline = time.monotonic() + 120
    while not ledger.exists() or ledger.read_text().count("\n") < 4:
        assert going.poll() is None, going.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    last = ended(going, signal.SIGTERM).splitlines()[-1]
    assert last == f"interrupted; give the same command with --resume to go on with {out}"
    assert not (out / "result.json").exists()
