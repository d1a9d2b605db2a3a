"""``python -m benchmarks.many_classes``: what is written, and how a program is measured."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.many_classes import measure, write_imagenet
from dpl_nas.tasks import load_task

REPOSITORY = Path(__file__).parents[2]


def test_a_miniature_is_written(tmp_path: Path) -> None:
    write_imagenet(tmp_path, 20, shots=2)
    task = load_task("coop/ImageNet", tmp_path)
    assert len(set(task.class_names)) == 20
    assert list(task.train.labels) == [label for label in range(20) for _ in range(2)]
    assert list(task.test.labels) == list(range(20))


def test_names_are_limited(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found 100000"):
        write_imagenet(tmp_path, 100_000, shots=1)
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_the_peak_is_that_of_the_program() -> None:
    # In a process of its own: a program takes over the peak of the one that starts it.
    code = """
import sys
from benchmarks.many_classes import measure
for program in ("bytearray(1 << 31)", ""):
    print(measure([sys.executable, "-c", program]).gb)
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, cwd=REPOSITORY
    )
    large, small = map(float, told.stdout.split())
    assert 2.1 < large < 2.8
    assert small < 2


def test_a_failure_is_told() -> None:
    with pytest.raises(RuntimeError, match="ended with 3"):
        measure([sys.executable, "-c", "raise SystemExit(3)"])
