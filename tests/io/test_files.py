import os
import stat
from pathlib import Path

import pytest

from dpl_nas.errors import CheckpointError, OutputError
from dpl_nas.io.files import atomic_path, read_json, write_bytes, write_json, write_text


def test_json_round_trip(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None, "é"]}
    write_json(tmp_path / "deep" / "file.json", value)
    assert read_json(tmp_path / "deep" / "file.json") == value


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_modes_follow_the_umask_even_if_the_writer_made_a_private_file(tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    path = tmp_path / "file"
    with atomic_path(path) as temporary:
        private = tmp_path / "private"
        private.write_text("content")
        private.chmod(0o600)
        private.replace(temporary)
    assert path.read_text() == "content"
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def test_unwritable_places(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*file/below: "):
        write_text(tmp_path / "file" / "below", "text")
    with pytest.raises(OutputError, match="cannot write"):
        write_text(tmp_path, "a folder cannot be replaced by a file")


def test_a_full_disk_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_text(tmp_path / "file", "text")
    assert not list(tmp_path.iterdir())


def test_bytes(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"\x00\x01")
    assert (tmp_path / "file").read_bytes() == b"\x00\x01"


def test_unreadable_json(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        read_json(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"a": [1,')
    with pytest.raises(CheckpointError, match="not a readable JSON file"):
        read_json(tmp_path / "half.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match="not a readable JSON file"):
        read_json(tmp_path / "binary.json")
