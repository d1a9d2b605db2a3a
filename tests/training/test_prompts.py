"""Prompts whose file is well-formed but not what a run writes."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

import dpl_nas
from dpl_nas.backbone import Backbone
from dpl_nas.errors import CheckpointError, DplWarning, OutputError
from dpl_nas.runs import evaluate
from dpl_nas.space import Space
from dpl_nas.tasks import load_task
from dpl_nas.tasks.views import SomeImages
from dpl_nas.training import TrainedPrompts, load_prompts
from dpl_nas.training.prompts import PromptsMetadata, _encode


@pytest.fixture
def prompts(small_space: Space, small_backbone: Backbone, image_folder: Path) -> TrainedPrompts:
    task = load_task(image_folder)
    architecture = small_space.architecture({"image/0": 2, "image/2": 0, "text/0": 1, "text/1": 2})
    metadata = PromptsMetadata(
        architecture=architecture,
        space=small_space,
        fingerprint=small_backbone.fingerprint,
        task=str(image_folder),
        class_names=task.class_names,
        template=task.template,
        templates=task.templates,
        text_template="task",
        shots=2,
        seed=1,
    )
    vectors = {
        f"{tower}/{layer}": torch.zeros(length, small_backbone.widths[tower])
        for tower, layer, length in architecture.items()
        if length
    }
    return TrainedPrompts(metadata, vectors)


def test_what_fits_is_loaded(prompts: TrainedPrompts, tmp_path: Path) -> None:
    prompts.save(tmp_path / "prompts.safetensors")
    assert load_prompts(tmp_path).metadata == prompts.metadata
    assert evaluate(tmp_path).test["found"].images == 60


@pytest.mark.parametrize(
    ("names", "difference"),
    [
        (("dark square", "gray", "white"), "lacks 'grey' and adds 'gray'"),
        (("dark square", "grey", "white", "black"), "adds 'black'"),
        (("dark square", "white", "grey"), "has them in another order"),
    ],
)
def test_other_classes_are_named(
    prompts: TrainedPrompts, image_folder: Path, names: tuple[str, ...], difference: str
) -> None:
    task = replace(load_task(image_folder), class_names=names)
    with pytest.raises(CheckpointError, match=f"the 3 classes of .* and the task .* {difference}"):
        dpl_nas.evaluate(prompts, task)
    with pytest.raises(
        CheckpointError, match=r": name its classes alike, such as with class_names"
    ):
        dpl_nas.evaluate(prompts, task)
    words = (
        r"mini/digits lacks .*: test on a task with the same classes, or .* give --other-classes"
    )
    with pytest.raises(CheckpointError, match=words):
        dpl_nas.evaluate(prompts, "mini/digits")


def test_a_half_is_tested_on_the_half(prompts: TrainedPrompts, image_folder: Path) -> None:
    base = load_task(image_folder, classes="base")
    metadata = prompts.metadata.model_copy(
        update={"class_names": base.class_names, "classes": "base"}
    )
    with pytest.raises(CheckpointError, match=r"adds 'white': take its base .* --classes base, or"):
        dpl_nas.evaluate(replace(prompts, metadata=metadata), image_folder)


def test_classes_without_test_images_do_not_lower_macro_f1(
    prompts: TrainedPrompts, image_folder: Path, small_backbone: Backbone
) -> None:
    task = load_task(image_folder)
    right = 0.0
    for label in range(len(task.class_names)):
        rows = [row for row, each in enumerate(task.test.labels) if each == label]
        one = replace(task, test=SomeImages(task.test, rows, [label] * len(rows)))
        with pytest.warns(DplWarning, match="2 of 3 classes have no test images"):
            found = dpl_nas.evaluate(prompts, one, backbone=small_backbone)
        # What is said to be of this class always is.
        assert found.macro_f1 == pytest.approx(2 * found.accuracy / (1 + found.accuracy))
        right += found.accuracy
    assert right > 0


@pytest.mark.parametrize("name", ["", "x.pt", "x.json"])
def test_names_of_other_files_are_refused(prompts: TrainedPrompts, name: str) -> None:
    with pytest.raises(OutputError, match=r"should be a text or a path|saved as FILE\.saf"):
        prompts.save(name)
    assert not Path(name or "none").is_file()


def test_a_pipe_is_called_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "prompts.safetensors")
    with pytest.raises(CheckpointError, match="is a pipe or a device"):
        load_prompts(tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda old: old[:, :-1], r"text/1 should be \(2, 16\) for test-small, found \(2, 15\)"),
        (lambda old: old[:1], r"text/1 should be \(2, width\), found \(1, 16\)"),
        (lambda old: old[0, 0], r"text/1 should be \(2, width\), found \(\)"),
        (lambda old: old[..., None], r"text/1 should be \(2, width\), found \(2, 16, 1\)"),
        (lambda old: old + float("nan"), "text/1 holds values that are not finite"),
        (lambda old: old + float("inf"), "text/1 holds values that are not finite"),
        (lambda old: old.double() + 1e300, "text/1 holds values that are not finite"),
        (lambda old: old.int(), "floating-point numbers, found int32 at text/1"),
        (lambda old: old.bool(), "floating-point numbers, found bool at text/1"),
    ],
)
def test_vectors_that_do_not_fit(
    prompts: TrainedPrompts,
    tmp_path: Path,
    change: Callable[[Tensor], Tensor],
    complaint: str,
) -> None:
    prompts.vectors["text/1"] = change(prompts.vectors["text/1"])
    prompts.save(tmp_path / "prompts.safetensors")
    with pytest.raises(CheckpointError, match=complaint) as caught:
        evaluate(tmp_path)
    assert "\n" not in str(caught.value)


def put(metadata: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for part in above:
        metadata = metadata[part]
    metadata[last] = value


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("architecture.space_id", "0" * 12, "does not fit its space: the architecture belongs to"),
        ("space.towers.text.lengths", [0, 1, 2, 3], "does not fit its space"),
        ("space.max_context_vectors", 1, "costs 5 context vectors"),
        ("architecture.lengths.image", [2, 2], "image/2 is missing or unknown"),
    ],
)
def test_metadata_that_contradicts_itself(
    prompts: TrainedPrompts, tmp_path: Path, path: str, value: Any, complaint: str
) -> None:
    metadata = json.loads(prompts.metadata.model_dump_json())
    put(metadata, path, value)
    rewritten(prompts, tmp_path, json.dumps(metadata))
    with pytest.raises(CheckpointError, match=complaint):
        evaluate(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, "", "{"])
def test_metadata_that_cannot_be_read(prompts: TrainedPrompts, tmp_path: Path, text: str) -> None:
    rewritten(prompts, tmp_path, text)
    with pytest.raises(CheckpointError, match="has damaged metadata"):
        load_prompts(tmp_path)


def test_layers_that_the_backbone_does_not_have(prompts: TrainedPrompts, tmp_path: Path) -> None:
    metadata = json.loads(prompts.metadata.model_dump_json())
    metadata["space"]["towers"]["image"]["layers"] = [0, 7]
    metadata["architecture"]["layers"]["image"] = [0, 7]
    metadata["architecture"]["space_id"] = Space.model_validate(metadata["space"]).id
    rewritten(prompts, tmp_path, json.dumps(metadata))
    with pytest.raises(CheckpointError, match="has 3 layers, counted from 0"):
        evaluate(tmp_path)


def rewritten(prompts: TrainedPrompts, folder: Path, metadata: str) -> None:
    """Save ``prompts`` with other metadata, where they are any with a checksum of their own."""
    file = folder / "prompts.safetensors"
    try:
        content = _encode(prompts.vectors, json.loads(metadata))
    except (RecursionError, ValueError):
        save_file(prompts.vectors, file, metadata={"dpl_nas": metadata})
    else:
        file.write_bytes(content)


def test_the_same_prompts_are_the_same_bytes(prompts: TrainedPrompts, tmp_path: Path) -> None:
    prompts.save(str(tmp_path / "prompts.safetensors"))
    first = (tmp_path / "prompts.safetensors").read_bytes()
    load_prompts(str(tmp_path)).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == first
    with safe_open(tmp_path / "again", framework="pt") as stream:
        # With two, their order would be one of chance.
        assert len(stream.metadata()) == 1


def test_flipped_bits_do_not_go_unnoticed(prompts: TrainedPrompts, tmp_path: Path) -> None:
    file = tmp_path / "prompts.safetensors"
    prompts.save(file)
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        for bit in (0x01, 0x20):
            flipped = bytearray(whole)
            flipped[place] ^= bit
            file.write_bytes(flipped)
            try:
                found = load_prompts(file)
            except CheckpointError as error:
                problem = str(error)
            else:
                # A space became another, say.
                problem = ""
                assert found.metadata == prompts.metadata
                assert all(torch.equal(found.vectors[k], v) for k, v in prompts.vectors.items())
            assert "\n" not in problem
    file.write_bytes(whole[:-1] + b"\x20")
    with pytest.raises(CheckpointError, match=r"do not fit their checksum\): remove it"):
        load_prompts(file)


def test_a_file_of_an_earlier_version(prompts: TrainedPrompts, tmp_path: Path) -> None:
    header = {"format": "dpl_nas prompts 1", "dpl_nas": prompts.metadata.model_dump_json()}
    save_file(prompts.vectors, tmp_path / "prompts.safetensors", metadata=header)
    with pytest.raises(CheckpointError, match="by another version of dpl_nas, without a checksum"):
        load_prompts(tmp_path)
    save_file(prompts.vectors, tmp_path / "prompts.safetensors")
    with pytest.raises(CheckpointError, match="holds no dpl_nas prompts"):
        load_prompts(tmp_path)


def test_class_features_are_kept(prompts: TrainedPrompts, tmp_path: Path) -> None:
    features = torch.randn(3, 12, generator=torch.Generator().manual_seed(1))
    saved = replace(prompts, class_features=features)
    saved.save(tmp_path / "prompts.safetensors")
    found = load_prompts(tmp_path)
    assert found.class_features is not None
    assert torch.equal(found.class_features, features)
    assert found.vectors.keys() == prompts.vectors.keys()
    # They answer, not the captions.
    told = [evaluate(tmp_path).test["found"].accuracy]
    replace(prompts, class_features=features.flip(0)).save(tmp_path / "prompts.safetensors")
    assert evaluate(tmp_path).test["found"].accuracy != told[0]


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (torch.zeros(2, 12), r"should hold features of 3 classes, found \(2, 12\)"),
        (torch.zeros(3), r"should hold features of 3 classes, found \(3,\)"),
        (torch.full((3, 12), torch.nan), "is damaged .classes holds values that are not finite"),
        (torch.zeros(3, 12).long(), "numbers, found int64 at classes"),
    ],
)
def test_class_features_that_do_not_fit_are_refused(
    prompts: TrainedPrompts, tmp_path: Path, features: Tensor, words: str
) -> None:
    replace(prompts, class_features=features).save(tmp_path / "prompts.safetensors")
    with pytest.raises(CheckpointError, match=words):
        load_prompts(tmp_path)
