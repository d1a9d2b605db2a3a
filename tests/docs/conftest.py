"""A reader's machine: a shell with the programs, and a folder with pictures."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.docs.server import CLIENT
from tests.docs.smaller import REPOSITORY, write_presets

#: Colours of the flowers that tests draw.
FLOWERS = {"daisy": (240, 230, 90), "sweet_pea": (220, 90, 200)}
STARTS_WITHIN = 120


@pytest.fixture(scope="session")
def presets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged files, with smaller strategies."""
    folder = tmp_path_factory.mktemp("presets")
    write_presets(folder)
    return folder


@pytest.fixture(scope="session")
def programs(presets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for PATH with ``dpl-nas`` and ``python``, which answer at once."""
    folder = tmp_path_factory.mktemp("programs")
    place = str(folder / "socket")
    for name in ("dpl-nas", "python"):
        program = folder / name
        program.write_text(CLIENT.format(python=sys.executable, socket=place, name=name))
        program.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.docs.server", place, str(presets)],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as server:
        deadline = time.monotonic() + STARTS_WITHIN
        while not Path(place).exists():
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield folder
        server.terminate()


def draw_flower(path: Path, colour: tuple[int, int, int], seed: int) -> None:
    """A noisy square of the colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 20, (32, 32, 3))
    Image.fromarray((noise + colour).clip(0, 255).astype("uint8")).save(path)


@pytest.fixture
def desk(
    programs: Path,
    presets: Path,
    whole_benchmark: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The folder that a reader works in: what a clone has, some pictures and the benchmark."""
    for name in ("strategies", "search_spaces"):
        shutil.copytree(presets / name, tmp_path / name)
    for file in REPOSITORY.glob("dpl_*.yml"):
        shutil.copy(file, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(programs)
    (tmp_path / "ROOT").symlink_to(whole_benchmark)
    for number, (name, colour) in enumerate(FLOWERS.items()):
        for index in range(8):
            for part, seed in (("train", 0), ("test", 100)):
                file = tmp_path / "flowers" / part / name / f"{index}.jpg"
                draw_flower(file, colour, seed + 10 * number + index)
        draw_flower(tmp_path / "new" / f"{name}.jpg", colour, 1000 + number)
    (tmp_path / "mine").symlink_to(tmp_path / "flowers")
    rows = [
        f"flowers/{part}/{name}/0.jpg,{name},{part}\n"
        for name in FLOWERS
        for part in ("train", "test")
    ]
    (tmp_path / "list.csv").write_text("".join(["path,label,split\n", *rows]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shell(programs: Path, desk: Path) -> dict[str, str]:
    """The environment of the reader's shell."""
    return {
        **os.environ,
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(desk),
        "PYTHONPATH": "",
        "OMP_NUM_THREADS": "1",
    }
