"""Making of the tokenizer and the tasks from the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpl_nas.gallery.packages import GLOSSES
from dpl_nas.glosses import build
from dpl_nas.glosses.build import main


def test_the_command_refuses_another_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / GLOSSES.file).write_bytes(b"something else")
    assert main(["--packages", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "is not wordnet-base 1:3.0-37" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_licence_is_beside_the_data() -> None:
    folder = Path(build.__file__).parent / "licences"
    text = (folder / f"{GLOSSES.licence}.txt").read_text()
    assert "WordNet 3.0 Copyright 2006 by Princeton University." in text
    assert "Permission to use, copy, modify and distribute this software" in text
