import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpl_nas.engine import Ledger, read_ledger
from dpl_nas.errors import CheckpointError, DplWarning, OutputError

OF = {"task": "mini/digits", "seed": 1}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
entries = st.lists(st.dictionaries(st.text(max_size=6), values, max_size=4), max_size=5)


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"number": number, "text": "ü\n" * number} for number in range(count)]


def written(path: Path, lines: list[dict[str, Any]]) -> bytes:
    with Ledger(path, OF) as ledger:
        for line in lines:
            ledger.append(line)
    return path.read_bytes()


@settings(deadline=None, max_examples=40)
@given(entries, entries)
def test_any_entries_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[dict[str, Any]],
    second: list[dict[str, Any]],
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger.jsonl"
    written(path, first)
    with Ledger(path, OF) as ledger:
        assert ledger.entries == first
        for line in second:
            ledger.append(line)
        assert ledger.entries == [*first, *second]
        # Also while it is written to.
        assert read_ledger(path) == [*first, *second]
    with Ledger(path, OF) as ledger:
        assert ledger.entries == [*first, *second]


def test_cut_anywhere_it_keeps_exactly_the_whole_lines(tmp_path: Path) -> None:
    lines = numbered(4)
    path = tmp_path / "ledger.jsonl"
    content = written(path, lines)
    for cut in range(len(content) + 1):
        # The first line is no entry.
        whole = max(content[:cut].count(b"\n") - 1, 0)
        path.write_bytes(content[:cut])
        with Ledger(path, OF) as ledger:
            assert ledger.entries == lines[:whole]
            ledger.append({"after": cut})
        assert read_ledger(path) == [*lines[:whole], {"after": cut}]


@pytest.mark.parametrize("tail", [b"\0" * 70, b"\0" * 69 + b"\n", b'{"number": \0\0\0}\n', b"7\n"])
def test_a_line_whose_content_did_not_reach_the_disk_is_cut_off(
    tmp_path: Path, tail: bytes
) -> None:
    path = tmp_path / "ledger.jsonl"
    content = written(path, numbered(3))
    path.write_bytes(content + tail)
    with Ledger(path, OF) as ledger:
        assert ledger.entries == numbered(3)
    assert path.read_bytes() == content
    # Not even the first line had reached it.
    path.write_bytes(tail if not tail.strip(b"\0\n") else b"")
    with Ledger(path, OF) as ledger:
        assert ledger.entries == []


KILLED = """
import json, os, random, signal, sys, time
from pathlib import Path
from dpl_nas.engine.ledger import Ledger

path, rounds = Path(sys.argv[1]), int(sys.argv[2])
random.seed(int(sys.argv[3]))
acknowledged = 0
for _ in range(rounds):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with Ledger(path, {"of": "kills"}) as ledger:
            while True:
                number = len(ledger.entries)
                ledger.append({"number": number, "padding": "x" * (number * 997 % 9000)})
                os.write(writer, number.to_bytes(4, "big"))
    os.close(writer)
    time.sleep(random.random() * 0.03)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    told = b""
    while part := os.read(reader, 1 << 16):
        told += part
    os.close(reader)
    numbers = [int.from_bytes(told[i : i + 4], "big") for i in range(0, len(told), 4)]
    acknowledged = max([acknowledged, *(number + 1 for number in numbers)])
    with Ledger(path, {"of": "kills"}) as ledger:
        kept = [entry["number"] for entry in ledger.entries]
    # Nothing that counted is lost, nothing is there twice; one line may be on disk untold.
    assert kept == list(range(len(kept))), kept
    assert acknowledged <= len(kept) <= acknowledged + 1, (acknowledged, len(kept))
    acknowledged = len(kept)
print(acknowledged)
"""


@pytest.mark.slow
def test_killed_at_200_random_moments_it_loses_and_repeats_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "ledger.jsonl"), "200", "1"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    # Most of the processes came to write.
    assert int(done.stdout) > 100


class FailingFile:
    """A file whose disk takes so many bytes more, in small pieces, and may then be dead."""

    def __init__(self, file: Any, room: int, dead: bool) -> None:
        self._file = file
        self.room = room
        self.dead = dead

    def write(self, content: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = int(self._file.write(content[: min(self.room, 7)]))
        self.room -= taken
        return taken

    def truncate(self, size: int) -> None:
        if self.dead:
            raise OSError(errno.EIO, "Input/output error")
        self._file.truncate(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("dead", [False, True], ids=["full", "dead"])
def test_a_disk_that_fails_after_any_number_of_bytes(tmp_path: Path, dead: bool) -> None:
    line = {"number": 2, "text": "ü\n\n"}
    for room in range(len(json.dumps(line)) + 1):
        path = tmp_path / f"{room}.jsonl"
        before = written(path, numbered(2))
        with Ledger(path, OF) as ledger:
            failing = FailingFile(ledger._file, room, dead)
            ledger._file = failing  # type: ignore[assignment]
            for _ in range(2):
                with pytest.raises(OutputError, match=r"cannot write .*: (No space|Input/output)"):
                    ledger.append(line)
                assert ledger.entries == numbered(2)
            if not dead:
                assert path.read_bytes() == before
            if room % 2:
                # There is room again, and the same ledger goes on.
                failing.room, failing.dead = 10**6, False
                ledger.append(line)
        expected = [*numbered(2), line] if room % 2 else numbered(2)
        with Ledger(path, OF) as ledger:
            assert ledger.entries == expected
            ledger.append({"last": True})
        assert read_ledger(path) == [*expected, {"last": True}]


def test_a_line_that_is_not_surely_on_disk_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.jsonl"
    written(path, numbered(2))

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with Ledger(path, OF) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            with pytest.raises(OutputError, match="Input/output error"):
                ledger.append({"number": 2})
        assert ledger.entries == read_ledger(path) == numbered(2)
        ledger.append({"number": 3})
    assert read_ledger(path) == [*numbered(2), {"number": 3}]


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Ledger(path, OF) as ledger:
        ledger.append({"number": 0})
        content = path.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) + 5, hard))
        try:
            with pytest.raises(OutputError, match="File too large"):
                ledger.append({"number": 1})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == content
        ledger.append({"number": 1})
    assert read_ledger(path) == [{"number": 0}, {"number": 1}]


def test_what_is_not_json_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, OF) as ledger:
        with pytest.raises(ValueError, match="Out of range"):
            ledger.append({"loss": float("nan")})
        assert ledger.entries == read_ledger(path) == []


def test_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, OF) as ledger:
        ledger.append({"number": 0})
        with pytest.raises(OutputError, match="in use by a search that is still going"):
            Ledger(path, OF)
        ledger.append({"number": 1})
    with Ledger(path, OF) as ledger:
        assert ledger.entries == [{"number": 0}, {"number": 1}]


def test_a_search_with_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    content = written(path, numbered(1))
    with pytest.raises(OutputError, match=r"with other settings \(seed\): resume it"):
        Ledger(path, {**OF, "seed": 2})
    assert path.read_bytes() == content


def test_other_threads_are_told(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, OF, threads=2) as ledger:
        ledger.append({"number": 0})
    with Ledger(path, OF, threads=2) as ledger:
        assert len(ledger.entries) == 1
    with (
        pytest.warns(DplWarning, match="was begun with 2 threads and goes on with 1"),
        Ledger(path, OF, threads=1) as ledger,
    ):
        assert len(ledger.entries) == 1


def head_of_another_version(content: bytes) -> bytes:
    return content.replace(b'{"ledger": 3', b'{"ledger": 99', 1)


@pytest.mark.parametrize(
    ("foreign", "kind", "complaint"),
    [
        (lambda _: b"my shopping list", CheckpointError, "is not a ledger"),
        (lambda _: b"my shopping list\n", CheckpointError, "is not a ledger"),
        (lambda _: b"milk\nbread\n", CheckpointError, "line 1 of .* is damaged"),
        (lambda _: b'{"a": 1}\n', CheckpointError, "not a ledger of this version"),
        (lambda _: b"[1, 2]\n[3]\n", CheckpointError, "line 1 of .* is damaged"),
        (lambda _: b"\x89PNG\r\n\x1a\n" + bytes(range(256)), CheckpointError, "damaged"),
        (head_of_another_version, CheckpointError, "not a ledger of this version"),
        (
            lambda content: content.replace(b'"seed": 1', b'"seed": 2'),
            CheckpointError,
            "line 1 of .* is damaged",
        ),
        (
            lambda content: content.replace(b'{"number": 1', b'{"numb'),
            CheckpointError,
            "line 3 of .* is damaged",
        ),
        # More than the line that was being written is missing.
        (
            lambda content: content.replace(b'{"number": 2', b"\0" * 12) + b'{"half',
            CheckpointError,
            "line 4 of .* is damaged",
        ),
    ],
)
def test_files_that_are_something_else_are_left_as_they_are(
    tmp_path: Path,
    foreign: Callable[[bytes], bytes],
    kind: type[Exception],
    complaint: str,
) -> None:
    path = tmp_path / "ledger.jsonl"
    content = foreign(written(path, numbered(3)))
    path.write_bytes(content)
    with pytest.raises(kind, match=complaint):
        Ledger(path, OF)
    assert path.read_bytes() == content
    # The refused one does not keep its claim.
    path.write_bytes(b"")
    with Ledger(path, OF) as ledger:
        assert ledger.entries == []


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        Ledger(tmp_path / "file" / "ledger.jsonl", OF)
    with pytest.raises(OutputError, match="cannot write"):
        Ledger(tmp_path, OF)
    with pytest.raises(CheckpointError, match="cannot read"):
        read_ledger(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="not a ledger"):
        read_ledger(tmp_path / "file")


def test_more_may_be_known_about_what_it_is_of(tmp_path: Path) -> None:
    """As it comes back from a file: tuples are lists."""
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, {**OF, "classes": ("a", "b"), "jobs": 1}) as ledger:
        ledger.append({"number": 0})
    with Ledger(path, {**OF, "classes": ["a", "b"]}) as ledger:
        assert ledger.entries == [{"number": 0}]


def test_no_flipped_bit_goes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    lines = [{"number": 3, "accuracy": 0.8125, "name": "a b"}] * 2
    whole = written(path, lines)
    begin = whole.index(b"\n") + 1
    for place in range(begin, len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            path.write_bytes(flipped)
            try:
                with Ledger(path, OF) as ledger:
                    found = ledger.entries
            except CheckpointError as error:
                problem = str(error)
            else:
                problem = ""
                # What may never have been on disk is done again.
                assert found in (lines, lines[:1], [])
            assert "\n" not in problem


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"loss": NaN}',
        b'{"loss": 1e999}',
        b'{"loss": ' + b"9" * 5000 + b"}",
        b'{"a": 1, "a": 2}',
        b'{"a": 1}',
        b'{"a": 1, "sha256": "0"}',
        b"\xff",
    ],
)
def test_damaged_lines_in_the_middle(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    content = written(path, numbered(1)) + line + b"\n{}\n"
    path.write_bytes(content)
    for read in (lambda: Ledger(path, OF), lambda: read_ledger(path)):
        with pytest.raises(CheckpointError, match=r"line 3 of .* is damaged: restore the file"):
            read()
    assert path.read_bytes() == content


def test_a_ledger_of_an_earlier_version(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    content = json.dumps({"ledger": 1, "of": OF}) + "\n" + json.dumps({"number": 0}) + "\n"
    path.write_text(content)
    with pytest.raises(CheckpointError, match="not a ledger of this version of dpl_nas: use anoth"):
        Ledger(path, OF)
    assert path.read_text() == content


def test_a_ledger_is_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    os.mkfifo(path)
    with pytest.raises(OutputError, match="it is a pipe or a device"):
        Ledger(path, OF)
    with pytest.raises(CheckpointError, match="is a pipe or a device"):
        read_ledger(path)
    path.unlink()
    path.symlink_to(tmp_path / "other")
    with pytest.raises(OutputError, match="it is a link"):
        Ledger(path, OF)
    assert not (tmp_path / "other").exists()


def test_a_ledger_whose_lines_are_gone_is_not_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, {"of": "it"}) as ledger:
        ledger.append({"charge": "a"})
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(CheckpointError, match="is not a ledger"):
        Ledger(path, {"of": "it"})
