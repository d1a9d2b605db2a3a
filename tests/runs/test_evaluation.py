"""Testing what a run of a method has learned; prompts are tested beside their runs."""

from pathlib import Path

import pytest

from dpl_nas import runs
from dpl_nas.backbone import load_backbone
from dpl_nas.config import MethodConfig, RunConfig
from dpl_nas.errors import CheckpointError, DplWarning
from dpl_nas.io.files import write_json
from dpl_nas.methods import load_learned
from dpl_nas.tasks import load_task
from dpl_nas.training.evaluation import score


@pytest.fixture
def of_method(run_config: RunConfig) -> RunConfig:
    return run_config.model_copy(update={"method": MethodConfig(name="ivlp")})


def train(config: RunConfig, folder: Path) -> Path:
    runs.train(config, config.space.uniform(2), folder, quiet=True)
    return folder


def test_a_method_answers_as_what_it_has_learned(of_method: RunConfig, tmp_path: Path) -> None:
    folder = train(of_method, tmp_path / "run")
    found = runs.evaluate(folder, quiet=True)
    task, backbone = load_task(of_method.task), load_backbone(of_method.space.backbone)
    learned = load_learned(folder / "learned.safetensors").scorer(backbone, task)
    expected = score({"learned": learned}, task.test, backbone)["learned"]
    assert (found.task, found.class_count) == (of_method.task, 3)
    assert found.test["found"].accuracy == expected.accuracy
    assert found.test["found"].macro_f1 == expected.macro_f1
    assert found.test["found"].lengths == of_method.space.uniform(2).lengths


def test_a_method_is_tested_on_other_classes_if_that_is_meant(
    of_method: RunConfig, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    changes = {"task": "coop/OxfordPets", "data": "data", "shots": 2, "classes": "base"}
    folder = train(of_method.model_copy(update=changes), tmp_path / "run")
    # It finds its task from anywhere.
    monkeypatch.chdir("/")
    base = runs.evaluate(folder, quiet=True)
    assert (base.task, base.classes, base.test["found"].images) == ("coop/OxfordPets", "base", 4)
    with pytest.warns(DplWarning, match="the weights of IVLP were trained for the 2 base classes"):
        new = runs.evaluate(folder, classes="new", quiet=True)
    assert (new.classes, new.class_count, new.test["found"].images) == ("new", 2, 4)


def test_other_classes_that_are_not_meant_are_refused(of_method: RunConfig, tmp_path: Path) -> None:
    folder = train(of_method, tmp_path / "run")
    with pytest.raises(CheckpointError, match="the weights of IVLP were trained for the 3 classes"):
        runs.evaluate(folder, "mini/squeezed", quiet=True)


def test_files_that_do_not_say_what_they_are_of(
    run_config: RunConfig, of_method: RunConfig, tmp_path: Path
) -> None:
    folder = train(of_method, tmp_path / "run")
    with pytest.raises(CheckpointError, match="give the folder of its run"):
        runs.evaluate(folder / "learned.safetensors", quiet=True)
    learned = (folder / "learned.safetensors").read_bytes()
    write_json(folder / "data.json", {"task": "task"})
    with pytest.raises(CheckpointError, match=r"data\.json is damaged"):
        runs.evaluate(folder, quiet=True)
    plain = train(run_config, tmp_path / "plain")
    (plain / "learned.safetensors").write_bytes(learned)
    with pytest.raises(CheckpointError, match="is a run without a method"):
        runs.evaluate(plain, quiet=True)
