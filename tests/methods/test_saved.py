import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.errors import CheckpointError, OutputError
from dpl_nas.methods import Learned, load_learned, make_method, method_class, save_learned
from dpl_nas.training.problem import Problem


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved method."""
    tensors = {"means": torch.eye(3, 12)}
    place = tmp_path_factory.mktemp("saved") / "means.safetensors"
    save_learned(Learned(make_method("class-means"), tensors, "f" * 16, ("a", "b", "c")), place)
    return place


def test_other_weights_and_classes_are_refused(problem: Problem) -> None:
    learned = make_method("class-means").adapt(problem)
    with pytest.raises(CheckpointError, match="class means was learned on weights"):
        replace(learned, fingerprint="0" * 16).scorer(problem.backbone, problem.task)
    other = replace(problem.task, class_names=("one", "two", "three"))
    with pytest.raises(CheckpointError, match=r"and .* has 'one', 'two', 'three': learn again"):
        learned.scorer(problem.backbone, other)
    # Captions of other classes are all that zero-shot needs.
    transferred = make_method("zero-shot").adapt(problem).scorer(problem.backbone, other)
    size = problem.backbone.image_size
    assert transferred.logits(torch.zeros(1, 3, size, size)).shape == (1, 3)


@given(place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_changed_byte_is_found(place: int, flip: int, file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[place % len(content)] ^= flip
    damaged = file.with_name("damaged.safetensors")
    damaged.write_bytes(bytes(content))
    try:
        found = load_learned(damaged)
    except CheckpointError:
        return
    # Spaces of the header may change without a meaning.
    assert torch.equal(found.tensors["means"], torch.eye(3, 12))
    assert found.fingerprint == "f" * 16


def test_other_files_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        load_learned(tmp_path / "none.safetensors")
    (tmp_path / "x.json").write_text(json.dumps({"method": "class-means"}))
    with pytest.raises(CheckpointError, match="is damaged: learn again"):
        load_learned(tmp_path / "x.json")
    with pytest.raises(OutputError):
        save_learned(load_learned(file), tmp_path)


class Mine(method_class("class-means")):  # type: ignore[misc]
    """A class that is not in the package."""


def test_a_file_does_not_choose_what_is_imported(file: Path, tmp_path: Path) -> None:
    learned = replace(load_learned(file), method=Mine())
    save_learned(learned, tmp_path / "mine.safetensors")
    with pytest.raises(CheckpointError, match="test_saved:Mine', which is no method"):
        load_learned(tmp_path / "mine.safetensors")
    assert isinstance(load_learned(tmp_path / "mine.safetensors", Mine).method, Mine)
    # Another class is not taken for it.
    with pytest.raises(CheckpointError, match="which is no method of this package"):
        load_learned(tmp_path / "mine.safetensors", method_class("linear-probe"))
