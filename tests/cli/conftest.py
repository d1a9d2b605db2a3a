"""The command line on real parts, with an embedded CLIP of random weights: fast, same paths."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dpl_nas.cli import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def quick(mini_weights: Path, image_folder: Path) -> list[str]:
    """Options of a run of a few seconds."""
    return [
        *("--task", str(image_folder), "--space", "mini_clip", "--strategy", "darts"),
        *("--shots", "4", "--seed", "1"),
        *("search.epochs=2", "train.epochs=2", "search.early_stop=null"),
        f"space.backbone.pretrained={mini_weights}",
    ]


Call = Callable[..., Outcome]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """The program in this process: what it prints, at the level of file descriptors."""

    def run(*arguments: str | Path) -> Outcome:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(each) for each in arguments])
        out, err = capfd.readouterr()
        code = stop.value.code
        assert isinstance(code, int)
        return Outcome(code, out, err)

    return run


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def program() -> Callable[..., "subprocess.Popen[str]"]:
    """The program as a process of its own."""

    def start(*arguments: str | Path) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("dpl-nas")), *map(str, arguments)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            # A shell starts background jobs with Ctrl-C ignored, and children inherit that.
            preexec_fn=_heed_interrupts,  # noqa: PLW1509 - no threads are started before
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
