import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from dpl_nas.errors import DplWarning, OutputError
from dpl_nas.io.files import WEAK
from dpl_nas.io.locks import claim, claim_file


def test_one_process_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    for _ in range(2):
        with (
            claim(lock, "busy"),
            pytest.raises(OutputError, match="busy"),
            claim(lock, "busy"),
        ):
            pass
    assert lock.read_bytes() == b""


def test_what_somebody_else_wrote_stays(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    lock.write_text("of another program")
    with (
        pytest.raises(OutputError, match="it is not a lock of dpl_nas: use another folder"),
        claim(lock, "busy"),
    ):
        pass
    assert lock.read_text() == "of another program"
    with claim_file(lock, "busy") as stream:
        stream.write(b"!")
        assert lock.read_text() == "of another program!"


@pytest.mark.parametrize("target", ["precious", "nowhere", ".lock"])
def test_links_are_not_followed(tmp_path: Path, target: str) -> None:
    precious = tmp_path / "precious"
    precious.touch()
    (tmp_path / ".lock").symlink_to(target)
    with (
        pytest.raises(OutputError, match=r"cannot write .*\.lock: it is a link"),
        claim(tmp_path / ".lock", "busy"),
    ):
        pass
    assert not (tmp_path / "nowhere").exists()


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, what in (("pipe", "a pipe or a device"), ("folder", "a folder")):
        with (
            pytest.raises(OutputError, match=f"it is {what}, so remove it or use another folder"),
            claim(tmp_path / name, "busy"),
        ):
            pass
    with pytest.raises(OutputError, match="No such file"), claim(tmp_path / "a/b", "busy"):
        pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL])
def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    failing(monkeypatch, number)
    monkeypatch.delenv(WEAK, raising=False)
    with (
        pytest.raises(OutputError, match=f"has no locks, .* or set {WEAK}=1 to go on"),
        claim(tmp_path / ".lock", "busy"),
    ):
        pass
    monkeypatch.setenv(WEAK, "1")
    with (
        pytest.warns(DplWarning, match=f"the file system of {tmp_path} has no locks"),
        claim(tmp_path / ".lock", "busy"),
    ):
        pass


def test_a_lock_that_fails_for_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, errno.EIO)
    with (
        pytest.raises(OutputError, match=r"cannot lock .*\.lock: Input/output error"),
        claim(tmp_path / ".lock", "busy"),
    ):
        pass


def failing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
