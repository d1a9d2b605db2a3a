"""What the program prints to may be closed, full, or unread."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FULL = Path("/dev/full")
Shell = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A line of bash, where dpl-nas is ours; what it prints, and what $? was."""

    def run(line: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["/bin/bash", "-c", line.replace("dpl-nas", f"{sys.executable} -m dpl_nas")],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_lead_nowhere(shell: Shell, closed: str) -> None:
    done = shell(f"dpl-nas tasks --json {closed}; echo $? >code")
    assert shell("cat code").stdout == "0\n", done.stderr
    assert done.stderr == ""


@pytest.mark.slow
def test_no_file_takes_the_place_of_stdout(shell: Shell, mini_weights: Path) -> None:
    done = shell(
        "dpl-nas train --length 1 --task mini/digits --shots 1 --out r train.epochs=1 --json "
        f"--quiet space.backbone.pretrained={mini_weights} >&-"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert shell("cat r/config.yml").stdout.startswith("task: mini/digits\n")


@pytest.mark.parametrize(
    "command", ["tasks", "tasks --json", "space nni mini_clip", "space show", "--help", "--version"]
)
def test_a_reader_that_leaves_is_no_error(shell: Shell, command: str) -> None:
    # The reader is gone before the first word.
    done = shell(f"(sleep 0.5; dpl-nas {command}; echo $? >code) | true; cat code")
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("command", ["tasks", "tasks --json", "space validate mini_clip", "--help"])
def test_a_full_disk_is_told(shell: Shell, command: str) -> None:
    done = shell(f"dpl-nas {command} >/dev/full")
    assert done.returncode == 2
    assert done.stderr == "error: cannot write to stdout: No space left on device\n"


@pytest.mark.slow
@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-", "2> >(true)"])
def test_progress_that_nobody_reads_stops_nothing(
    shell: Shell, where: str, mini_weights: Path
) -> None:
    done = shell(
        "dpl-nas train --length 1 --task mini/digits --shots 1 --out r train.epochs=30 --json "
        f"space.backbone.pretrained={mini_weights} {where}"
    )
    assert done.returncode == 0
    assert '"lengths"' in done.stdout


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_a_complaint_that_nobody_reads_is_one(shell: Shell) -> None:
    assert shell("dpl-nas space show nothing 2>/dev/full").returncode == 2
    assert shell("dpl-nas space show nothing 2>&-").returncode == 2
