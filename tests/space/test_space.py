import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.errors import ArchitectureError, CheckpointError, SpaceError
from dpl_nas.space import (
    Architecture,
    Space,
    TowerSpace,
    load_architecture,
    load_space,
    space_problems,
)

numbers = st.lists(st.integers(0, 30), min_size=1, max_size=8, unique=True)
towers = st.dictionaries(
    st.sampled_from(["image", "text"]),
    st.builds(lambda layers, lengths: {"layers": layers, "lengths": lengths}, numbers, numbers),
    min_size=1,
)
spaces = st.builds(
    lambda towers, shared: Space.model_validate(
        {"name": "drawn", "towers": towers, "shared_vectors": shared}
    ),
    towers,
    st.booleans(),
)


def small(**changes: Any) -> Space:
    data = {
        "name": "small",
        "towers": {
            "text": {"layers": [1, 0], "lengths": [4, 0, 2]},
            "image": {"layers": [0, 2, 5], "lengths": "1-3"},
        },
    }
    return Space.model_validate({**data, **changes})


def write(path: Path, data: Any) -> Path:
    path.write_text(yaml.safe_dump(data))
    return path


@given(spaces, st.data())
def test_architectures_round_trip(space: Space, data: st.DataObject) -> None:
    lengths = {
        label: data.draw(st.sampled_from(space.towers[tower].lengths))
        for label, tower, _ in space.labels()
    }
    architecture = space.architecture(lengths)
    again = Architecture.model_validate_json(architecture.model_dump_json())
    assert again == architecture
    space.check(again)
    assert {f"{tower}/{layer}": length for tower, layer, length in again.items()} == lengths
    assert again.vectors == sum(lengths.values())


@given(spaces)
def test_spaces_round_trip(space: Space) -> None:
    again = Space.model_validate(yaml.safe_load(yaml.safe_dump(space.model_dump(mode="json"))))
    assert again == space
    assert again.id == space.id
    assert again.size == math.prod(
        len(part.lengths) ** len(part.layers) for part in space.towers.values()
    )


def test_order_does_not_matter() -> None:
    space = small()
    assert list(space.towers) == ["image", "text"]
    assert space.towers["text"] == TowerSpace(layers=(0, 1), lengths=(0, 2, 4))
    assert [label for label, _, _ in space.labels()] == [
        "image/0",
        "image/2",
        "image/5",
        "text/0",
        "text/1",
    ]


def test_the_id_tells_choices_apart_not_names_or_weights() -> None:
    space = small()
    assert space.id == small(name="other").id
    assert space.id == small(backbone={"model": "mini-clip", "pretrained": "file"}).id
    assert space.id != small(backbone={"model": "ViT-B-16"}).id
    assert space.id != small(towers={"text": {"layers": [0, 1], "lengths": [0, 2, 4]}}).id


def test_saved_architectures(tmp_path: Path) -> None:
    space = small()
    architecture = space.uniform(2)
    architecture.save(tmp_path / "architecture.json")
    assert load_architecture(tmp_path / "architecture.json") == architecture
    assert architecture.describe() == "image 2 2 2 | text 2 2"
    assert json.loads((tmp_path / "architecture.json").read_text())["space"] == "small"


def test_uniform_takes_the_longest_that_fits() -> None:
    assert small().uniform(3).lengths == {"image": (3, 3, 3), "text": (2, 2)}
    assert small().uniform(9).lengths == {"image": (3, 3, 3), "text": (4, 4)}
    assert small().uniform(0).lengths == {"image": (1, 1, 1), "text": (0, 0)}


def test_uniform_stays_within_the_limits() -> None:
    assert small(max_context_vectors=9).uniform(9).lengths == {"image": (1, 1, 1), "text": (0, 0)}
    assert small(max_context_vectors=10).uniform(9).lengths == {"image": (2, 2, 2), "text": (2, 2)}


def test_the_limits_changes_neither_id_nor_size() -> None:
    space, free = small(max_context_vectors=5, max_flops=1e6), small()
    assert (space.id, space.size) == (free.id, free.size)
    space.check(free.uniform(1))


def test_architectures_over_the_limits() -> None:
    with pytest.raises(
        ArchitectureError,
        match=r"costs 13 context vectors, .* allows only 12: choose shorter lengths, or raise max",
    ):
        small(max_context_vectors=12).check(small().uniform(3))
    # An image of mini-clip has 17 tokens of width 96; the text tower runs once for all.
    vector = 4 * 17 * 96
    small(max_flops=9 * vector).check(small().uniform(3))
    with pytest.raises(
        ArchitectureError,
        match=r"costs 58,752 FLOPs an image, but space small allows only 58,751: .* max_flops",
    ):
        small(max_flops=9 * vector - 0.5).check(small().uniform(3))


def test_flops_of_the_text_tower_are_not_those_of_an_image() -> None:
    text = small().model_dump(mode="json")["towers"]["text"]
    space = small(towers={"text": text}, max_flops=0)
    space.check(space.uniform(4))


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        (
            {"max_context_vectors": 2},
            r"every architecture costs at least 3 context vectors: .*found 2",
        ),
        ({"max_flops": 19583}, r"every architecture costs at least 19,584 FLOPs an image"),
        ({"max_context_vectors": -1}, "greater than or equal to 0"),
        ({"max_context_vectors": 6.0}, "valid integer"),
        ({"max_context_vectors": True}, "valid integer"),
        ({"max_flops": math.inf}, "finite number"),
        ({"max_flops": "many"}, "expected a number"),
        (
            {"max_flops": 1, "backbone": {"model": "RN50"}},
            "whose FLOPs are known, found RN50",
        ),
    ],
)
def test_bad_limits(tmp_path: Path, limits: dict[str, Any], complaint: str) -> None:
    data = {**small().model_dump(mode="json"), **limits}
    with pytest.raises(SpaceError, match=f"max_(context_vectors|flops): .*{complaint}"):
        load_space(write(tmp_path / "space.yml", data))


def test_a_limits_of_an_otherwise_bad_space(tmp_path: Path) -> None:
    data = {"towers": {"image": {"layers": [0], "lengths": []}}, "max_context_vectors": 0}
    (problem,) = space_problems(write(tmp_path / "space.yml", data))
    assert problem.startswith("towers.image.lengths")


def test_architectures_of_another_space() -> None:
    other = small(towers={"text": {"layers": [0, 1], "lengths": [0, 2, 4]}})
    with pytest.raises(ArchitectureError, match=r"belongs to space small .*use the space"):
        other.check(small().uniform(2))


def test_lengths_that_the_space_does_not_offer() -> None:
    lengths = {"image/0": 1, "image/2": 2, "image/5": 3, "text/0": 0, "text/1": 3}
    with pytest.raises(
        ArchitectureError, match="text/1 has length 3, but space small offers only 0, 2, 4"
    ):
        small().architecture(lengths)
    with pytest.raises(ArchitectureError, match="missing or unknown: image/1, text/1"):
        small().architecture({**{k: lengths[k] for k in list(lengths)[:4]}, "image/1": 2})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"lengths": {"image": [1, -1, 1], "text": [0, 0]}}, "greater than or equal to 0"),
        ({"lengths": {"image": [1, 2.0, 1], "text": [0, 0]}}, "valid integer"),
        ({"lengths": {"image": [1, True, 1], "text": [0, 0]}}, "valid integer"),
        ({"lengths": {"image": [1, 1], "text": [0, 0]}}, "one length for each layer"),
        ({"lengths": {"image": [1, 1, 1]}}, "one length for each layer"),
        ({"lengths": {"image": [1, 1, 1], "sound": [0]}}, "'image' or 'text'"),
        ({"extra": 1}, "unknown key extra"),
        ({"space_id": None}, "space_id"),
    ],
)
def test_malformed_architectures(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    data = {**small().uniform(2).model_dump(mode="json"), **change}
    path = tmp_path / "architecture.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ArchitectureError, match=complaint):
        load_architecture(path)


def test_files_that_are_no_architecture(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        load_architecture(tmp_path / "none.json")
    (tmp_path / "list.json").write_text("[1, 2]")
    with pytest.raises(ArchitectureError, match="expected a mapping of settings"):
        load_architecture(tmp_path / "list.json")


@pytest.mark.parametrize(
    ("part", "value", "complaint"),
    [
        ("lengths", [0, -2], "whole numbers of 0 or more, not -2"),
        ("lengths", [0, 1.5], "whole numbers of 0 or more, not 1.5"),
        ("lengths", [0, 2.0], "not 2.0"),
        ("lengths", [0, True], "not True"),
        ("lengths", ["a"], "not 'a'"),
        ("lengths", [-1, 2, "a"], "not -1, 'a'"),
        ("lengths", [1, 1], "each number once"),
        ("lengths", [], "at least 1 item"),
        ("lengths", "5-1", "a range that rises, such as 1-5"),
        ("lengths", "0-1001", "whole numbers up to 1000, not 1001"),
        ("lengths", [0, 10**20], "whole numbers up to 1000, not 1e"),
        ("lengths", "all", "a range such as 0-11"),
        ("lengths", 4, "a range such as 0-11"),
        ("layers", "0-", "a range such as 0-11"),
        ("layers", [-1], "not -1"),
    ],
)
def test_bad_numbers(tmp_path: Path, part: str, value: Any, complaint: str) -> None:
    tower = {"layers": "0-2", "lengths": "0-2", part: value}
    path = write(tmp_path / "space.yml", {"towers": {"image": tower}})
    with pytest.raises(SpaceError, match=complaint) as caught:
        load_space(path)
    assert f"towers.image.{part}" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({}, "towers: field required"),
        ({"towers": {}}, "at least 1 item"),
        ({"towers": {"sound": {"layers": [0], "lengths": [0]}}}, "'image' or 'text'"),
        ({"towers": {"image": {"layers": [0]}}}, "towers.image.lengths: field required"),
        ({"towers": {"image": {"layers": [0], "lengths": [0], "depth": 1}}}, "unknown key"),
        ({"tower": {}}, "unknown key tower"),
    ],
)
def test_bad_spaces(tmp_path: Path, data: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpaceError, match=complaint):
        load_space(write(tmp_path / "space.yml", data))


def test_every_problem_at_once(tmp_path: Path) -> None:
    data = {
        "towers": {"image": {"layers": [-1], "lengths": [1.5]}, "text": {"layers": [0]}},
        "shared": True,
        "backbone": {"model": "", "precision": "fp16"},
    }
    problems = space_problems(write(tmp_path / "space.yml", data))
    assert len(problems) == 6
    assert space_problems("mini_clip") == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": "a\nb"}, "printable"),
        ({"name": "a\x1b[31m"}, "printable"),
        ({"name": "a" * 101}, "100 characters"),
        ({"max_flops": True}, "max_flops: expected a number .found True"),
        ({"max_flops": 1e300}, "max_flops"),
    ],
)
def test_names_and_limits_are_checked(
    tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    data = {"towers": {"image": {"layers": [0], "lengths": [0, 1]}}, **change}
    with pytest.raises(SpaceError, match=complaint):
        load_space(write(tmp_path / "mine.yml", data))


def test_the_name_is_the_files_unless_it_says_otherwise(tmp_path: Path) -> None:
    data: dict[str, Any] = {"towers": {"image": {"layers": [0], "lengths": [0, 1]}}}
    assert load_space(write(tmp_path / "mine.yml", data)).name == "mine"
    assert load_space(write(tmp_path / "mine.yml", {**data, "name": "ours"})).name == "ours"
