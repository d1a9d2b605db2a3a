"""Runs on the benchmark: base and new classes, other datasets, and a folder that has moved."""

from pathlib import Path

import pytest

import dpl_nas
from dpl_nas import runs
from dpl_nas.config import RunConfig
from dpl_nas.errors import CheckpointError, DplWarning, OutputError, TaskError
from dpl_nas.io.files import read_json
from dpl_nas.training import load_prompts


def on(config: RunConfig, task: str, data: Path, **changes: object) -> RunConfig:
    return config.model_copy(update={"task": task, "data": str(data), "shots": 2, **changes})


def train(config: RunConfig, folder: Path) -> Path:
    runs.train(config, config.space.uniform(2), folder)
    return folder


def test_base_to_new(
    run_config: RunConfig, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = on(run_config, "coop/OxfordPets", Path("data"), classes="base")
    folder = train(config, tmp_path / "run")
    saved = load_prompts(folder).metadata
    assert (saved.data, saved.classes) == (str(data), "base")
    assert saved.class_names == ("green cup", "red pea")
    # It finds its task from anywhere.
    monkeypatch.chdir("/")
    base = runs.evaluate(folder)
    assert (base.task, base.classes, base.test["found"].images) == ("coop/OxfordPets", "base", 4)
    with pytest.warns(DplWarning, match="the 2 base classes of .*the 2 new classes of .*, 0 of"):
        new = runs.evaluate(folder, classes="new")
    assert (new.classes, new.class_count, new.test["found"].images) == ("new", 2, 4)
    # With other images, a run does not go on.
    (data / "oxford_pets/images/green_cup/test_0.jpg").unlink()
    (data / "oxford_pets/images/green_cup/test_1.jpg").rename(
        data / "oxford_pets/images/green_cup/test_0.jpg"
    )
    with pytest.raises(TaskError, match=r"test_1\.jpg is not a readable image \(it does not exist"):
        runs.evaluate(folder)
    # Images of the other half are of no account.
    with pytest.warns(DplWarning, match="0 of them the same"):
        assert runs.evaluate(folder, classes="new") == new
    data.rename(tmp_path / "moved")
    with pytest.raises(TaskError, match=r"no longer at .*/data: give their folder with --data"):
        runs.evaluate(folder)
    with pytest.warns(DplWarning, match="0 of them the same"):
        moved = runs.evaluate(folder, data=str(tmp_path / "moved"), classes="new")
    assert moved == new


@pytest.mark.filterwarnings("ignore:task coop/ImageNet")
def test_from_imagenet_to_others(run_config: RunConfig, data: Path, tmp_path: Path) -> None:
    folder = train(on(run_config, "coop/ImageNet", data), tmp_path / "run")
    # The same names: the classifier is that of the training.
    assert runs.evaluate(folder, "coop/ImageNetV2").test["found"].images == 10
    with pytest.warns(
        DplWarning, match="the 5 classes of coop/ImageNet, .*the 2 classes of .*, 2 of"
    ):
        assert runs.evaluate(folder, "coop/ImageNet-A").test["found"].images == 4
    with pytest.warns(DplWarning) as told:
        assert runs.evaluate(folder, "coop/UCF101").test["found"].images == 8
    texts = [str(each.message) for each in told]
    assert any("the 4 classes of coop/UCF101, 0 of them the same" in each for each in texts)
    assert any("the template of task coop/UCF101" in each for each in texts)
    with pytest.raises(TaskError, match="coop/ImageNetV2 is for tests only"):
        runs.train(on(run_config, "coop/ImageNetV2", data), run_config.space.uniform(2), tmp_path)


@pytest.mark.filterwarnings("ignore:the template of task")
def test_other_classes_are_an_explicit_wish(
    run_config: RunConfig, data: Path, image_folder: Path, tmp_path: Path
) -> None:
    folder = train(on(run_config, "coop/OxfordPets", data), tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"lacks 'green cup'.* give --other-classes"):
        runs.evaluate(folder, str(image_folder))
    with pytest.raises(CheckpointError, match="other_classes=True"):
        runs.evaluate(folder, str(image_folder), classes="all")
    with pytest.raises(CheckpointError, match="other_classes=True"):
        dpl_nas.evaluate(folder, image_folder)
    with pytest.warns(DplWarning, match="the 3 classes of .*, 0 of them the same"):
        found = runs.evaluate(folder, str(image_folder), other_classes=True)
    assert found.test["found"].images == 60
    assert found.test["found"].accuracy >= 0


def test_a_search_validates_on_the_datasets_own_validation_images(
    run_config: RunConfig, data: Path, tmp_path: Path
) -> None:
    strategy = run_config.strategy
    search = strategy.search.model_copy(update={"validation": "extra", "shortlist": 0})
    config = on(
        run_config,
        "coop/EuroSAT",
        data,
        shots=4,
        strategy=strategy.model_copy(update={"search": search}),
    )
    result = runs.search(config, tmp_path / "run")
    # 4 shots of 4 classes train; 3 images of each are all that there are to validate.
    assert read_json(tmp_path / "run" / "search.json")["labels_seen"] == 28
    assert result.task == "coop/EuroSAT"
    # The images that validate are part of what a search is of.
    (tmp_path / "run" / "architecture.json").unlink()
    (tmp_path / "run" / "search.json").unlink()
    for number in range(3):
        (data / f"eurosat/2750/red_pea/val_{number}.jpg").write_bytes(
            (data / f"eurosat/2750/blue car/val_{number}.jpg").read_bytes()
        )
    with pytest.raises(OutputError, match="set of images"):
        runs.search(config, tmp_path / "run", resume=True)
