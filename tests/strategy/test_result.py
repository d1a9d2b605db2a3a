"""Records of epochs on disk."""

import json
from pathlib import Path

import pytest

from dpl_nas.errors import CheckpointError
from dpl_nas.strategy.result import EpochRecord, read_records, write_records

RECORD = EpochRecord(
    epoch=0,
    train_loss=1.5,
    validation_loss=1.25,
    validation_accuracy=0.5,
    supernet_accuracy=0.75,
    mean_entropy=0.9,
    entropy={"image/0": 0.9},
    choice={"image/0": 2},
    ties=[],
    alpha={"image/0": [0.25, -0.125]},
)


def test_records_come_back(tmp_path: Path) -> None:
    assert read_records(tmp_path / "alphas.jsonl") == []
    write_records(tmp_path / "alphas.jsonl", [RECORD, RECORD])
    assert read_records(tmp_path / "alphas.jsonl") == [RECORD, RECORD]
    line = json.loads((tmp_path / "alphas.jsonl").read_text().splitlines()[0])
    assert line["alpha"] == RECORD.alpha


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: whole.replace(b"0.25", b"0.75"),
        lambda whole: whole.replace(b"alpha", b"alphb"),
        lambda whole: whole.replace(b"epoch", b"ep\xffch"),
        lambda whole: whole.replace(b"0.9}", b"NaN}"),
        lambda whole: whole.replace(b"sha256", b"sha255"),
        lambda _: b"[" * 100_000,
        lambda _: b"{}\n",
        lambda _: b"[]\n",
        lambda _: b"\0",
    ],
)
def test_damage_is_told_in_a_sentence(tmp_path: Path, change) -> None:
    path = tmp_path / "alphas.jsonl"
    write_records(path, [RECORD])
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r"line 1 of .*alphas.jsonl is not a record") as error:
        read_records(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400
