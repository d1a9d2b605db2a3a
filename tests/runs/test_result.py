import json
from pathlib import Path
from typing import Any

import pytest

from dpl_nas.engine import StopReason
from dpl_nas.errors import CheckpointError
from dpl_nas.io.files import write_json
from dpl_nas.runs.result import RunResult, SearchRecord, TestResult, read_record, write_record
from dpl_nas.strategy.result import SearchSummary
from dpl_nas.testing import assert_sentence

SUMMARY = SearchSummary(
    stopped_by=StopReason.EARLY_STOP,
    epochs=3,
    mean_entropy=0.5,
    ties=("image/0",),
    validation_accuracy=0.75,
    labels_seen=8,
    evaluations=2,
    failures=1,
    steps=12,
    images=24,
    trial_steps=6,
)
RESULT = RunResult(
    task="mini/digits",
    space="mini_clip",
    strategy="darts",
    shots=4,
    seed=1,
    lengths={"image": (0, 4), "text": (6, 1)},
    vectors=11,
    test={
        "found": TestResult(
            accuracy=0.5, macro_f1=0.4, images=10, lengths={"image": (0, 4), "text": (6, 1)}
        )
    },
    validation_accuracy=0.75,
    search=SUMMARY,
    seconds={"search": 1.5},
)


def test_results_come_back_as_they_were_and_have_a_schema_number(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    write_record(file, RESULT)
    assert read_record(file, RunResult, "remove it") == RESULT
    found = json.loads(file.read_text())
    assert found["schema"] == 1
    assert found["search"]["stopped_by"] == "early_stop"
    assert found["test"]["found"]["lengths"] == {"image": [0, 4], "text": [6, 1]}
    assert RESULT.test["found"].vectors == 11


def test_what_the_machine_decides_is_left_out_of_a_summary() -> None:
    record = SearchRecord(**SUMMARY.model_dump(), seconds=2.5, peak_bytes=10)
    assert record.summary == SUMMARY


@pytest.mark.parametrize(
    "content",
    [
        {},
        {**RESULT.to_json(), "schema": 2},
        {**RESULT.to_json(), "more": 1},
        {**RESULT.to_json(), "validation_accuracy": 7},
    ],
)
def test_results_of_another_layout(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "result.json"
    write_json(file, content)
    with pytest.raises(CheckpointError, match="not written by this version of dpl_nas") as error:
        read_record(file, RunResult, "remove it")
    assert_sentence(error.value)
