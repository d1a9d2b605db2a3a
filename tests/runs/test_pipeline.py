import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dpl_nas import runs
from dpl_nas.config import MethodConfig, RunConfig
from dpl_nas.errors import ArchitectureError, CheckpointError, ConfigError, OutputError
from dpl_nas.methods import load_learned, make_method, save_learned
from dpl_nas.methods.depths import lengths_of
from dpl_nas.observer import Observer
from dpl_nas.runs.result import RunResult, read_record
from dpl_nas.space import Architecture, load_architecture


class Killed(BaseException):
    pass


class KillAt(Observer):
    def __init__(self, stage: str, done: int) -> None:
        self.moment = (stage, done)

    def advance(
        self, stage: str, done: int, metrics: Mapping[str, float], status: str = ""
    ) -> None:
        if (stage, done) == self.moment:
            raise Killed


def without_seconds(result: RunResult) -> dict[str, Any]:
    return {key: value for key, value in result.to_json().items() if key != "seconds"}


@pytest.fixture(scope="module")
def finished(
    small_space: Any, image_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return tmp_path_factory.mktemp("finished") / "run"


def test_under_limits_the_uniform_design_is_beside_if_asked_for(
    run_config: RunConfig, tmp_path: Path
) -> None:
    space = run_config.space.model_copy(update={"max_context_vectors": 6})
    evaluate = run_config.evaluate.model_copy(update={"uniform_length": 2})
    config = run_config.model_copy(update={"space": space, "evaluate": evaluate})
    result = runs.run(config, tmp_path / "run")
    assert set(result.test) == {"found", "manual", "uniform", "zero_shot"}
    assert result.test["uniform"].lengths == {"image": (2, 2), "text": (2, 2)}
    assert result.test["uniform"].vectors == 8
    assert max(result.test["found"].vectors, result.test["manual"].vectors) <= 6
    (tmp_path / "run/result.json").unlink()
    again = runs.run(config, tmp_path / "run", resume=True)
    assert again.test == result.test


def test_a_run_is_a_folder(run_config: RunConfig, finished: Path) -> None:
    result = runs.run(run_config, finished)
    assert read_record(finished / "result.json", RunResult, "remove it") == result
    assert json.loads((finished / "result.json").read_text())["schema"] == 1
    assert set(result.test) == {"found", "manual", "zero_shot"}
    for part in result.test.values():
        assert 0 <= part.accuracy <= 1
        assert 0 <= part.macro_f1 <= 1
    assert set(result.seconds) == {"search", "train", "evaluate"}
    assert result.test["manual"].lengths == {"image": (4, 4), "text": (2, 2)}
    architecture = load_architecture(finished / "architecture.json")
    assert result.lengths == architecture.lengths
    files = ("config.yml", "versions.json", "alphas.jsonl", "architecture.png", "alphas.png")
    for name in (*files, "prompts.safetensors"):
        assert (finished / name).stat().st_size
    assert (finished / "trials.png").exists() == (finished / "evaluations.json").exists()
    assert list((finished / "tensorboard").iterdir())
    if architecture.vectors:
        tested = runs.evaluate(finished)
        assert tested.test["found"] == result.test["found"]


@pytest.mark.parametrize(
    ("stage", "done"),
    [("search", 2), ("search", 4), ("train found", 1), ("train manual", 2), ("evaluate", 1)],
)
def test_resume_ends_in_the_same_result(
    run_config: RunConfig, finished: Path, tmp_path: Path, stage: str, done: int
) -> None:
    if not (finished / "result.json").exists():
        runs.run(run_config, finished)
    whole = read_record(finished / "result.json", RunResult, "remove it")
    folder = tmp_path / "run"
    with pytest.raises(Killed):
        runs.run(run_config, folder, observer=KillAt(stage, done))
    assert not (folder / "result.json").exists()
    resumed = runs.run(run_config, folder, resume=True)
    assert without_seconds(resumed) == without_seconds(whole)


@pytest.mark.slow
def test_two_devices_run_the_same(run_config: RunConfig, tmp_path: Path) -> None:
    one = runs.run(run_config, tmp_path / "one")
    two = runs.run(run_config.model_copy(update={"devices": 2}), tmp_path / "two")
    assert two.test == one.test
    assert two.lengths == one.lengths

    def files(name: str) -> list[Path]:
        folder = tmp_path / name
        found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return sorted(path for path in found if "tfevents" not in path.name)

    assert files("two") == files("one")


def test_a_folder_in_use(run_config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "something").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        runs.run(run_config, tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name != ".lock"] == ["something"]


def test_another_configuration(run_config: RunConfig, finished: Path) -> None:
    if not (finished / "result.json").exists():
        runs.run(run_config, finished)
    other = run_config.model_copy(update={"seed": 9})
    with pytest.raises(OutputError, match=r"other settings \(seed\)"):
        runs.run(other, finished, resume=True)


def test_an_architecture_of_another_space(run_config: RunConfig, tmp_path: Path) -> None:
    foreign = Architecture(
        space="other", space_id="0" * 12, layers={"image": (0,)}, lengths={"image": (2,)}
    )
    with pytest.raises(ArchitectureError, match="belongs to space other"):
        runs.train(run_config, foreign, tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("result.json", "remove it to test again"),
        ("search.json", "remove it and architecture.json to search again"),
        ("seconds.json", "remove it to count the seconds afresh"),
    ],
)
@pytest.mark.parametrize("content", ["{}", "[]", '{"train": "x"}', "flipped"])
def test_damaged_records_are_told(
    run_config: RunConfig, finished: Path, tmp_path: Path, name: str, remedy: str, content: str
) -> None:
    if not (finished / "result.json").exists():
        runs.run(run_config, finished)
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    whole = (folder / name).read_bytes()
    if name != "result.json":
        (folder / "result.json").unlink()
    place = whole.rindex(b".") + 1
    flipped = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    (folder / name).write_bytes(flipped if content == "flipped" else content.encode())
    with pytest.raises(CheckpointError, match=f"{name} .*: {remedy}") as caught:
        runs.run(run_config, folder, resume=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["promptsrc", "clip-lora"])
def test_a_run_of_a_method_goes_on(run_config: RunConfig, name: str, tmp_path: Path) -> None:
    strategy = run_config.strategy.model_dump(mode="json")
    strategy |= {"strategy": "random", "search": {}, "budget": {"trials": 2}}
    config = RunConfig.model_validate(
        run_config.model_dump(mode="json") | {"strategy": strategy, "method": name}
    )
    whole = runs.run(config, tmp_path / "whole", quiet=True)
    assert set(whole.test) == {"found", "manual", "zero_shot"}
    learned = load_learned(tmp_path / "whole/learned.safetensors")
    assert learned.method.model_dump()["lengths"] == lengths_of(
        load_architecture(tmp_path / "whole/architecture.json")
    )
    assert not (tmp_path / "whole/prompts.safetensors").exists()
    with pytest.raises(Killed):
        runs.run(config, tmp_path / "run", observer=KillAt("train found", 2))
    again = runs.run(config, tmp_path / "run", resume=True, quiet=True)
    assert without_seconds(again) == without_seconds(whole)
    # What is there is not taken for what another method has learned.
    (tmp_path / "run/result.json").unlink()
    other = make_method(name, lengths={"text": [1]}, recipe="problem")
    save_learned(replace(learned, method=other), tmp_path / "run/learned.safetensors")
    with pytest.raises(CheckpointError, match="other lengths or settings"):
        runs.run(config, tmp_path / "run", resume=True, quiet=True)
    (tmp_path / "run/learned.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="remove it to train again"):
        runs.run(config, tmp_path / "run", resume=True, quiet=True)


def test_given_lengths_of_a_method(run_config: RunConfig, tmp_path: Path) -> None:
    config = run_config.model_copy(update={"method": MethodConfig(name="ivlp")})
    result = runs.train(config, config.space.uniform(2), tmp_path / "run", quiet=True)
    assert result.prompts == str(tmp_path / "run/learned.safetensors")
    assert load_learned(result.prompts).parameters == 2 * (2 * 32 + 2 * 16)


def test_several_devices_do_not_train_a_method(run_config: RunConfig, tmp_path: Path) -> None:
    config = run_config.model_copy(update={"method": MethodConfig(name="ivlp"), "devices": 2})
    with pytest.raises(ConfigError, match="use one device"):
        runs.run(config, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
