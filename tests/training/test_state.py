"""States of trainings: what is saved comes back, and damage is told."""

import os
import zipfile
from pathlib import Path

import pytest
import torch

from dpl_nas.errors import CheckpointError
from dpl_nas.training.state import load_state, save_state

STATE = {"contexts": {"a": torch.full((4, 8), 0.04)}, "epochs": 1}


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "train.state"
    assert load_state(path) is None
    save_state(path, STATE)
    found = load_state(path)
    assert found is not None
    assert found["epochs"] == 1
    assert torch.equal(found["contexts"]["a"], STATE["contexts"]["a"])  # type: ignore[index]


def test_flipped_bits_do_not_go_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "train.state"
    save_state(path, STATE)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        sizes = {each.filename: each.file_size for each in archive.infolist()}
    assert sizes
    for place in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[place] ^= 0x40
        path.write_bytes(flipped)
        try:
            found = load_state(path)
        except CheckpointError:
            continue
        # Dates and padding count for nothing.
        assert found is not None
        assert found["epochs"] == 1
        assert torch.equal(found["contexts"]["a"], STATE["contexts"]["a"])  # type: ignore[index]
    numbers = whole.find(torch.full((8,), 0.04).numpy().tobytes())
    path.write_bytes(whole[:numbers] + b"\xff" + whole[numbers + 1 :])
    with pytest.raises(CheckpointError, match="remove it to start that stage afresh"):
        load_state(path)


def test_what_is_no_state(tmp_path: Path) -> None:
    path = tmp_path / "train.state"
    os.mkfifo(path)
    with pytest.raises(CheckpointError, match="is a pipe or a device"):
        load_state(path)
    path.unlink()
    for content in (b"", b"hello", b"PK\x05\x06" + b"\0" * 18):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="remove it to start that stage afresh"):
            load_state(path)
    # Of an older torch, without checksums.
    torch.save(STATE, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="remove it to start that stage afresh"):
        load_state(path)
