"""``python -m benchmarks.loading``: what is timed is done in a process of its own."""

import subprocess

import pytest

from benchmarks.loading import time_loading, time_thumbnails


@pytest.mark.slow
def test_a_task_and_thumbnails_are_timed() -> None:
    assert time_loading("pictures/styles") > 0
    assert time_thumbnails("scattered", 10) > 0


def test_a_failure_is_none_of_the_figures() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        time_loading("pictures/nothing")
