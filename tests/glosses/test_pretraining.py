"""Pre-training: it learns, and an interrupted run ends like an uninterrupted one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from dpl_nas.errors import CheckpointError
from dpl_nas.glosses.pretraining import (
    GlossProgress,
    GlossSettings,
    main,
    pretrain,
    texts_of_tasks,
)
from dpl_nas.glosses.tasks import TASKS, load_texts
from dpl_nas.glosses.wordnet import Synset

_SHORT = GlossSettings(steps=16, batch_size=8, report_every=4, save_every=4)


class _StoppedError(Exception):
    pass


def test_a_short_run_learns_and_resumes_to_the_same_weights(
    tmp_path: Path, synsets: list[Synset]
) -> None:
    seen: list[GlossProgress] = []
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    pretrain(_SHORT, synsets, whole, seen.append, layers=1)
    assert [report.step for report in seen] == [4, 8, 12, 16]
    assert seen[-1].loss < seen[0].loss - 1
    assert seen[-1].said < seen[0].said - 1

    def stop(report: GlossProgress) -> None:
        if report.step == 8:
            raise _StoppedError

    with pytest.raises(_StoppedError):
        pretrain(_SHORT, synsets, parts, stop, layers=1)
    assert not parts.exists()
    pretrain(_SHORT, synsets, parts, layers=1)
    assert parts.read_bytes() == whole.read_bytes()


def test_what_tasks_show_is_known(synsets: list[Synset]) -> None:
    texts = texts_of_tasks()
    for name in TASKS:
        task = load_texts(name)
        assert {text for text, _ in (*task.pool, *task.test)} <= texts


def test_other_settings_are_not_mixed_in(tmp_path: Path, synsets: list[Synset]) -> None:
    out = tmp_path / "weights.safetensors"
    brief = GlossSettings(steps=1, batch_size=4)
    pretrain(brief, synsets, out, layers=1)
    with pytest.raises(CheckpointError, match="other settings"):
        pretrain(brief.model_copy(update={"seed": 1}), synsets, out, layers=1)


def test_a_broken_state_is_named(tmp_path: Path, synsets: list[Synset]) -> None:
    (tmp_path / "weights.state").write_bytes(b"no state")
    with pytest.raises(CheckpointError, match=r"weights\.state is not a state of pre-training"):
        pretrain(_SHORT, synsets, tmp_path / "weights.safetensors", layers=1)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError):
        GlossSettings.model_validate({"stepz": 3})


def test_the_command_refuses_another_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wordnet-base_1%3a3.0-37_all.deb").write_bytes(b"something else")
    assert main(["--out", str(tmp_path / "weights.safetensors")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert "is not wordnet-base 1:3.0-37" in told
    assert told.count("\n") == 1
