import errno
import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from dpl_nas.errors import CheckpointError, DplWarning, OutputError
from dpl_nas.io.files import (
    WEAK,
    atomic_path,
    is_regular,
    open_file,
    read_bytes,
    read_json,
    read_sealed,
    sync_name,
    temporary_of,
    write_bytes,
    write_json,
    write_text,
    write_through,
)

REMEDY = "remove it to start afresh"


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
    with pytest.raises(CheckpointError, match=r"breaks off, .*, at line 1, column 10$"):
        read_json(tmp_path / "half.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match="not a readable JSON file: byte 1 is not UTF-8"):
        read_json(tmp_path / "binary.json")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_file_systems_that_cannot_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def cannot(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", cannot)
    monkeypatch.delenv(WEAK, raising=False)
    with pytest.raises(
        OutputError, match=f"cannot tell whether files are on disk.* or set {WEAK}=1"
    ):
        write_text(tmp_path / "file", "text")
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv(WEAK, "1")
    with pytest.warns(
        DplWarning, match=f"the file system of {tmp_path} cannot tell whether files are on"
    ):
        write_text(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"


def test_a_folder_that_cannot_be_synced_for_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=f"cannot write {tmp_path}/file: No space left"):
        sync_name(tmp_path / "file")


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to(pipe)
    for path, complaint in (
        (pipe, "is a pipe or a device"),
        (link, "is a pipe or a device"),
        (Path("/dev/zero"), "is a pipe or a device"),
        (tmp_path, "is a folder"),
        (tmp_path / "none", "does not exist"),
        (tmp_path / ("x" * 500), "cannot read"),
        (Path("a\0b"), "is not a file name"),
    ):
        with pytest.raises(CheckpointError, match=complaint):
            read_bytes(path)
        with pytest.raises(CheckpointError, match=complaint):
            read_json(path)
        assert not is_regular(path)


def test_files_have_an_end(tmp_path: Path) -> None:
    with (tmp_path / "sparse.json").open("wb") as stream:
        stream.truncate(10**12)
    with pytest.raises(CheckpointError, match="larger than 100,000,000 bytes"):
        read_json(tmp_path / "sparse.json")
    (tmp_path / "some").write_bytes(b"abc")
    assert read_bytes(tmp_path / "some", 3) == b"abc"
    with pytest.raises(CheckpointError, match="larger than 2 bytes"):
        read_bytes(tmp_path / "some", 2)


def test_errors_of_whoever_reads_are_their_own(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="mine"), open_file(tmp_path / "file"):
        raise ValueError("mine")


def test_temporary_names() -> None:
    assert temporary_of(Path(".a.b.0123abcd.tmp")) == "a.b"
    assert temporary_of(Path(".a.tmp")) is None
    assert temporary_of(Path("a.0123abcd.tmp")) is None


def test_a_record_is_readable_and_ends_with_its_checksum(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    write_json(file, {"b": (1, 2), "a": {2: 0.1, 10: "é"}})
    assert list(json.loads(file.read_text())) == ["b", "a", "sha256"]
    expected = {"b": [1, 2], "a": {"2": 0.1, "10": "é"}}
    assert read_sealed(file, REMEDY) == read_json(file) == expected
    # Spaces do not count.
    file.write_text(json.dumps(json.loads(file.read_text())))
    assert read_sealed(file, REMEDY) == expected


def test_no_flipped_bit_goes_unnoticed(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    value = {"accuracy": 0.8125, "lengths": [1, 12], "name": "a b", "none": None, "yes": True}
    write_json(file, value)
    whole = file.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            file.write_bytes(flipped)
            # A space became another, say, or it is told.
            with suppress(CheckpointError):
                assert read_sealed(file, REMEDY) == value


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{}", "has no checksum"),
        ("[]", "has no checksum"),
        ('"text"', "has no checksum"),
        ('{"a": 1, "sha256": "00"}', "does not fit its checksum"),
        ('{"a": 1, "sha256": [1]}', "does not fit its checksum"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a": NaN}', "NaN is not a finite number"),
        ('{"a": -Infinity}', "-Infinity is not a finite number"),
        ('{"a": 1e999}', "1e999 is not a finite number"),
        (f'{{"a": {"9" * 5000}}}', "has too many digits"),
        ('{"a": 1, "a": 2}', "a key occurs twice"),
        ("x" * 100_000, "not a readable JSON file"),
    ],
)
def test_what_is_no_record(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "record.json"
    file.write_text(content)
    with pytest.raises(CheckpointError, match=complaint) as caught:
        read_sealed(file, REMEDY)
    assert str(caught.value).startswith(str(file))
    assert str(caught.value).endswith(REMEDY)
    assert len(str(caught.value)) < 400


def test_what_people_write_needs_no_checksum(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text('{"a": 1}')
    assert read_json(file) == {"a": 1}
    write_json(file, {"a": 1})
    file.write_text(file.read_text().replace("1", "2", 1))
    with pytest.raises(CheckpointError, match="or remove the key sha256 if you changed it"):
        read_json(file)


@pytest.mark.parametrize("make", [write_json, lambda path, value: path.write_text("[1, 2]")])
def test_lists_have_no_checksum(tmp_path: Path, make: Callable[[Path, list[int]], None]) -> None:
    make(tmp_path / "list.json", [1, 2])
    assert json.loads((tmp_path / "list.json").read_text()) == [1, 2]
    assert read_json(tmp_path / "list.json") == [1, 2]


def test_what_is_written_to_stays_what_it_is(tmp_path: Path) -> None:
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(file)
    write_through(link, b"through")
    assert link.is_symlink()
    assert file.read_bytes() == b"through"
    # Such as >(cat) of a shell.
    reader, writer = os.pipe()
    try:
        write_through(Path(f"/dev/fd/{writer}"), b"piped")
        assert os.read(reader, 9) == b"piped"
    finally:
        os.close(reader)
    try:
        with pytest.raises(OutputError, match=r"cannot write to /dev/fd/[0-9]+: Broken pipe"):
            write_through(Path(f"/dev/fd/{writer}"), b"piped")
    finally:
        os.close(writer)
    # Somebody else may go on writing to it, so it is not replaced.
    with file.open("r+b") as stream:
        before = file.stat().st_ino
        write_through(Path(f"/dev/fd/{stream.fileno()}"), b"again")
    assert (file.stat().st_ino, file.read_bytes()) == (before, b"again")
