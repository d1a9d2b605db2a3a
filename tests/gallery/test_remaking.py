"""Making files again: each is compared with the one that ships; errors are told in a sentence."""

from pathlib import Path

import pytest

from dpl_nas.errors import CheckpointError
from dpl_nas.gallery.remaking import remake


def test_says_of_each_file_whether_it_is_as_shipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[Path, Path]] = []

    def make(packages: Path, out: Path) -> dict[str, str]:
        seen.append((packages, out))
        return {"a.zip": "11", "b.zip": "22", "c.zip": "33"}

    arguments = ["--packages", str(tmp_path), "--out", str(tmp_path / "out")]
    code = remake("some.module", None, make, lambda: {"a.zip": "11", "b.zip": "2"}, arguments)
    assert code == 0
    assert seen == [(tmp_path, tmp_path / "out")]
    assert capsys.readouterr().out.splitlines() == [
        "a.zip  11  as shipped",
        "b.zip  22  not as shipped",
        "c.zip  33  not as shipped",
    ]


def test_an_error_is_one_sentence_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def make(packages: Path, out: Path) -> dict[str, str]:
        raise CheckpointError(f"{packages} has no thing: download it again")

    arguments = ["--packages", str(tmp_path), "--out", str(tmp_path / "out")]
    assert remake("some.module", None, make, dict, arguments) == 2
    captured = capsys.readouterr()
    assert captured.err == f"error: {tmp_path} has no thing: download it again\n"
    assert not captured.out
    assert not (tmp_path / "out").exists()
