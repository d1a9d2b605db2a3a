import copy
from pathlib import Path

import pytest
import yaml

from dpl_nas.errors import ArchitectureError
from dpl_nas.experiments.command import command_options
from dpl_nas.experiments.tuner import FittingTuner
from dpl_nas.nni.search_space import (
    architecture_of_parameters,
    is_architecture,
    nni_search_space,
    parse_architecture,
    search_space_yaml,
    tuner_settings,
)
from dpl_nas.space import Space, load_space

REPOSITORY = Path(__file__).parents[2]
FILES = ["dpl_random.yml", "dpl_evolution.yml", "dpl_tpe.yml"]


def test_a_choice_a_layer(small_space: Space) -> None:
    assert nni_search_space(small_space) == {
        "image/0": {"_type": "choice", "_value": [0, 2, 4]},
        "image/2": {"_type": "choice", "_value": [0, 2, 4]},
        "text/0": {"_type": "choice", "_value": [0, 1, 2]},
        "text/1": {"_type": "choice", "_value": [0, 1, 2]},
    }


def test_yaml_says_the_same_with_a_line_a_layer() -> None:
    # PyYAML breaks long lines, of which there must be none: a thousand lengths are allowed.
    space = Space.model_validate(
        {"name": "long", "towers": {"image": {"layers": "0-3", "lengths": "0-1000"}}}
    )
    text = search_space_yaml(space)
    assert yaml.safe_load(text) == nni_search_space(space)
    assert len(text.splitlines()) == 4


@pytest.mark.parametrize("name", FILES)
def test_the_files_search_what_their_command_trains(name: str) -> None:
    text = (REPOSITORY / name).read_text()
    settings = yaml.safe_load(text)
    options = command_options(settings["trialCommand"])
    assert options.space == "mini_clip"
    assert settings["searchSpace"] == nni_search_space(load_space(options.space))
    assert settings["maxTrialNumber"] == 20
    assert text.startswith(
        f'# NODE_OPTIONS="$(dpl-nas nni preload)" nnictl create --config {name} --port 8080\n'
    )


@pytest.mark.parametrize("name", FILES)
def test_the_commented_variants(name: str) -> None:
    text = (REPOSITORY / name).read_text()
    settings = yaml.safe_load(text)
    real, budget = text.split("\n# Real CLIP")[1].split("\n# A space with limits")
    lines = [part.split("\n#\n")[1].replace("# ", "").split("\n#")[0] for part in (real, budget)]
    variants = [yaml.safe_load(each) for each in lines]
    assert set(variants[0]) == {
        *("trialCommand", "trialConcurrency", "trialGpuNumber", "trainingService")
    }
    options = command_options(variants[0]["trialCommand"])
    assert settings["searchSpace"] == nni_search_space(load_space(options.space))
    tuner = variants[1]["tuner"]
    assert {**tuner, "classArgs": None} == {**tuner_settings("x"), "classArgs": None}
    FittingTuner(**tuner["classArgs"]).update_search_space(settings["searchSpace"])


@pytest.mark.parametrize("kind", [int, str])
def test_parameters_and_architectures(small_space: Space, kind: type) -> None:
    lengths = {"image/0": 4, "image/2": 0, "text/0": 1, "text/1": 2}
    architecture = small_space.architecture(lengths)
    parameters = {label: kind(length) for label, length in lengths.items()}
    assert is_architecture(parameters)
    assert architecture_of_parameters(small_space, parameters) == architecture
    assert parse_architecture(small_space, architecture.describe()) == architecture


def test_what_is_no_architecture() -> None:
    assert not is_architecture({"task": "mini/digits", "search.epochs": 3, "image": 1})
    assert not is_architecture({})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"image/0": 3}, "image/0 has length 3, but space small offers only 0, 2, 4"),
        ({"image/0": -2}, "expected a context length for image/0, found -2"),
        ({"image/0": "four"}, "expected a context length for image/0, found 'four'"),
        ({"image/0": True}, "expected a context length for image/0, found True"),
        ({"image/0": 2.0}, "expected a context length for image/0, found 2.0"),
        ({"image/1": 2}, "missing or unknown: image/1"),
        ({"seed": 2}, "missing or unknown: seed"),
    ],
)
def test_illegal_parameters(small_space: Space, change: dict[str, object], complaint: str) -> None:
    parameters = {"image/0": 4, "image/2": 0, "text/0": 1, "text/1": 2, **change}
    with pytest.raises(ArchitectureError, match=complaint):
        architecture_of_parameters(small_space, parameters)


def test_missing_parameters(small_space: Space) -> None:
    with pytest.raises(ArchitectureError, match="missing or unknown: text/1"):
        architecture_of_parameters(small_space, {"image/0": 4, "image/2": 0, "text/0": 1})


@pytest.mark.parametrize("text", ["", "image 4 0", "image 4 0 | text 1", "image 4 0 | hand 1 1"])
def test_descriptions_of_something_else(small_space: Space, text: str) -> None:
    with pytest.raises(ArchitectureError):
        parse_architecture(small_space, text)


def test_over_the_limits(small_space: Space) -> None:
    space = small_space.model_copy(update={"max_context_vectors": 3})
    parameters = {"image/0": 4, "image/2": 0, "text/0": 0, "text/1": 0}
    with pytest.raises(
        ArchitectureError, match="costs 4 context vectors, but space small allows only 3"
    ):
        architecture_of_parameters(space, copy.copy(parameters))
