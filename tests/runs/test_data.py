"""A run goes on with its own data, and is tested on its own task."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from PIL import Image

from dpl_nas import runs
from dpl_nas.config import RunConfig
from dpl_nas.errors import DplWarning, OutputError, TaskError
from dpl_nas.io.files import read_json
from dpl_nas.observer import Observer


class Killed(BaseException):
    pass


class KillAt(Observer):
    def __init__(self, stage: str) -> None:
        self._stage = stage

    def advance(
        self, stage: str, done: int, metrics: Mapping[str, float], status: str = ""
    ) -> None:
        if stage == self._stage:
            raise Killed


@pytest.fixture
def config(run_config: RunConfig, image_folder: Path, tmp_path: Path) -> RunConfig:
    """A run on a copy of the images in ``tmp_path / "task"``."""
    shutil.copytree(image_folder, tmp_path / "task")
    return run_config.model_copy(update={"task": str(tmp_path / "task")})


def more(task: Path) -> None:
    Image.new("RGB", (32, 36), "grey").save(task / "train" / "grey" / "00.png")


def template(task: Path) -> None:
    (task / "task.yml").write_text("augmentation: none\ntemplate: a {}.\n")


@pytest.mark.parametrize("stage", ["search", "train found", "evaluate"])
@pytest.mark.parametrize("change", [more, template])
def test_other_data_are_refused(
    config: RunConfig, tmp_path: Path, stage: str, change: Callable[[Path], None]
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Killed):
        runs.run(config, folder, observer=KillAt(stage))
    kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    change(tmp_path / "task")
    with pytest.raises(OutputError, match=r"the drawn images.* of task .*task have changed"):
        runs.run(config, folder, resume=True)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == kept
    # Where nothing is left to tell, what a stage keeps does.
    (folder / "data.json").unlink()
    if stage == "search":
        with pytest.raises(OutputError, match=r"other settings \((template, )?set of images\)"):
            runs.run(config, folder, resume=True)


def test_nothing_is_spent_on_broken_images(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "task" / "test" / "grey" / "000.png").write_bytes(b"")
    with pytest.raises(TaskError, match=r"grey/000\.png is not a readable image \(it is empty\)"):
        runs.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_nothing_is_spent_on_the_same_captions(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "task" / "task.yml").write_text("class_names: {grey: White}")
    with pytest.raises(TaskError, match="'White', 'white' are the same"):
        runs.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_runs_own_task_is_tested(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = config.model_copy(update={"task": "task"})
    runs.train(config, config.space.uniform(2), Path("run"))
    saved = read_json(Path("run/data.json"))
    assert (saved["task"], saved["folder"]) == ("task", str(tmp_path / "task"))
    here = runs.evaluate(Path("run"))
    assert here.task == "task"

    # Somewhere else, where another task has the same name.
    shutil.copytree("task", "else/task")
    Path("else/task/test/grey/000.png").unlink()
    monkeypatch.chdir(tmp_path / "else")
    there = runs.evaluate(Path("../run"))
    assert there == here.model_copy(update={"task": str(tmp_path / "task"), "prompts": "../run"})
    assert runs.evaluate(Path("../run"), "task").test["found"].images == 59

    # It was moved to here, as its training images say.
    (tmp_path / "task").rename(tmp_path / "gone")
    assert runs.evaluate(Path("../run")).task == "task"
    more(Path("task"))
    with pytest.raises(TaskError, match=r"no longer at .*task: give the folder .* with --task"):
        runs.evaluate(Path("../run"))


def test_small_classes_are_told_of(config: RunConfig, tmp_path: Path) -> None:
    for number in range(4, 10):
        (tmp_path / "task" / "train" / "grey" / f"{number:03}.png").unlink()
    with pytest.warns(DplWarning, match="1 of 3 classes have fewer than 6 training images"):
        result = runs.run(config, tmp_path / "run")
    assert result.test["found"].images == 60


def test_other_test_images_are_refused(config: RunConfig, tmp_path: Path) -> None:
    out = tmp_path / "run"
    runs.train(config, config.space.uniform(2), out)
    (tmp_path / "task" / "test" / "grey" / "000.png").unlink()
    with pytest.raises(OutputError, match="the test images of task"):
        runs.train(config, config.space.uniform(2), out, resume=True)


@pytest.mark.parametrize("place", ["train/grey/out", "test/out"])
def test_a_run_among_the_images_of_its_task(config: RunConfig, tmp_path: Path, place: str) -> None:
    out = tmp_path / "task" / place
    with pytest.raises(OutputError, match="lies among the images of task"):
        runs.train(config, config.space.uniform(2), out)
    assert not out.exists()


def test_another_template_is_told_of(config: RunConfig, tmp_path: Path) -> None:
    runs.train(config, config.space.uniform(2), tmp_path / "run")
    (tmp_path / "task" / "task.yml").write_text("template: b {}\naugmentation: none\n")
    with pytest.warns(DplWarning, match=r"is now 'b \{\}', but the prompts were trained"):
        runs.evaluate(tmp_path / "run")
