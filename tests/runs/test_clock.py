"""The seconds of the stages of a run: kept, added up, and refused if damaged."""

from pathlib import Path

import pytest

from dpl_nas.errors import CheckpointError
from dpl_nas.io.files import write_json
from dpl_nas.io.run_files import SECONDS
from dpl_nas.observer import Stage
from dpl_nas.runs.clock import Clock


def test_seconds_add_up_over_stages_and_processes(tmp_path: Path) -> None:
    first = Clock(tmp_path)
    with first.stage(Stage.TRAIN):
        pass
    once = first.seconds[Stage.TRAIN]
    again = Clock(tmp_path)
    assert again.seconds == {Stage.TRAIN: once}
    with again.stage(Stage.TRAIN), again.stage(Stage.EVALUATE):
        pass
    assert again.seconds[Stage.TRAIN] > once
    assert Clock(tmp_path).seconds == again.seconds


def test_a_stage_that_fails_counts(tmp_path: Path) -> None:
    def fail() -> None:
        with Clock(tmp_path).stage(Stage.SEARCH):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert set(Clock(tmp_path).seconds) == {Stage.SEARCH}


def test_other_values_are_refused(tmp_path: Path) -> None:
    write_json(tmp_path / SECONDS, {"train": "long"})
    with pytest.raises(CheckpointError, match="should hold the seconds of stages: remove it"):
        Clock(tmp_path)
