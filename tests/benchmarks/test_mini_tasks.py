"""``python -m benchmarks.mini_tasks``: a row is measured, kept, and shown."""

from pathlib import Path

import pytest

from benchmarks import mini_tasks

TINY = """
strategy: darts
search: {epochs: 1, warmup_epochs: 0, shortlist: 0}
train: {epochs: 1}
"""


def test_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny.yml").write_text(TINY)
    monkeypatch.setattr(mini_tasks, "ALONE", {"shortlist": 0})
    argv = ["mini_tasks", "--out", str(tmp_path / "out"), "--tasks", "digits", "--seeds", "1"]
    argv += ["--shots", "2", "--strategy", str(tmp_path / "tiny.yml")]
    monkeypatch.setattr("sys.argv", argv)
    mini_tasks.main()
    first = capsys.readouterr()
    assert "digits 1: {" in first.err
    assert "| digits | 10.0 | " in first.out
    mini_tasks.main()
    again = capsys.readouterr()
    assert again.err == ""
    assert again.out == first.out
