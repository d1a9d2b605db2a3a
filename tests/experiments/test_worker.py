import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dpl_nas.errors import OutputError
from dpl_nas.experiments.loopback import node_options
from dpl_nas.experiments.worker import NAMES, write_worker


def run(command: str, folder: Path) -> str:
    """As NNI calls it over ssh."""
    return subprocess.run(
        ["/bin/sh", "-c", f'PATH="{folder}:$PATH" {command}'],
        env={key: value for key, value in os.environ.items() if key != "NODE_OPTIONS"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


@pytest.mark.parametrize("name", NAMES)
def test_is_this_python_with_nni_kept_on_loopback(tmp_path: Path, name: str) -> None:
    folder = write_worker(tmp_path / "it's a worker")
    shown = run(
        f'{name} -c "import json, os, sys; '
        "print(json.dumps([sys.executable, os.environ['NODE_OPTIONS']]))\"",
        folder,
    )
    assert json.loads(shown) == [sys.executable, node_options()]


def test_pip_asks_no_index_for_nni(tmp_path: Path) -> None:
    folder = write_worker(tmp_path / "worker")
    told = run("python -m pip install nni --upgrade --dry-run", folder)
    assert "Looking in indexes" not in told
    assert "Requirement already satisfied: nni" in told


def test_may_be_written_again(tmp_path: Path) -> None:
    write_worker(tmp_path, Path("/some/python"))
    assert "/some/python" in (tmp_path / "python").read_text()
    write_worker(tmp_path)
    assert "/some/python" not in (tmp_path / "python").read_text()


def test_leaves_other_pythons_alone(tmp_path: Path) -> None:
    (tmp_path / "python3").write_bytes(b"\x7fELF")
    with pytest.raises(OutputError, match="python3 was not written by"):
        write_worker(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["python3"]
