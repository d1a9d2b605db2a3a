"""Pre-training: it learns, and an interrupted run ends like an uninterrupted one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from dpl_nas.errors import CheckpointError
from dpl_nas.mini.model import load_mini_clip
from dpl_nas.mini.pretraining import PretrainProgress, PretrainSettings, pretrain

_SHORT = PretrainSettings(
    steps=24, batch_size=16, warmup=0.1, decay=0.1, evaluate_every=6, save_every=8
)


class _StoppedError(Exception):
    pass


@pytest.mark.slow
def test_a_short_run_learns_and_resumes_to_the_same_weights(tmp_path: Path) -> None:
    seen: list[PretrainProgress] = []
    whole = pretrain(_SHORT, tmp_path / "whole", seen.append)
    assert [report.step for report in seen] == [6, 12, 18, 24]
    assert min(report.loss for report in seen[1:]) < seen[0].loss
    assert set(seen[0].accuracies) >= {"basic shapes", "rare shapes", "digits"}

    def stop(report: PretrainProgress) -> None:
        if report.step == 12:
            raise _StoppedError

    with pytest.raises(_StoppedError):
        pretrain(_SHORT, tmp_path / "parts", stop)
    resumed = pretrain(_SHORT, tmp_path / "parts")
    assert resumed.read_bytes() == whole.read_bytes()
    load_mini_clip(resumed)


def test_other_settings_are_not_mixed_in(tmp_path: Path) -> None:
    brief = PretrainSettings(steps=1, batch_size=4)
    pretrain(brief, tmp_path)
    with pytest.raises(CheckpointError, match="other settings"):
        pretrain(brief.model_copy(update={"seed": 1}), tmp_path)


def test_a_broken_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"no state")
    with pytest.raises(CheckpointError, match=r"state\.pt is not a state of pre-training"):
        pretrain(PretrainSettings(steps=1, batch_size=4), tmp_path)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError):
        PretrainSettings.model_validate({"stepz": 3})
