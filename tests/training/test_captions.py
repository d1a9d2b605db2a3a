"""Classes that the text tower cannot tell apart."""

import warnings
from dataclasses import replace

import pytest
import torch

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.config import TrainSettings
from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.space import BackboneConfig, Space
from dpl_nas.tasks import Task, load_task
from dpl_nas.tasks.mini import MINI_TASKS
from dpl_nas.training import train
from dpl_nas.training.captions import check_captions

LONG = " ".join(["star"] * 30)


@pytest.fixture(scope="module")
def mini() -> Backbone:
    return load_backbone(BackboneConfig(model="mini-clip"))


@pytest.fixture(scope="module")
def digits() -> Task:
    return load_task("mini/digits")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("Star", "star"), "'Star', 'star' are .* capitals"),
        (("red  star", "red star"), "extra blanks"),
        (("a &amp; b", "a & b"), "the same to mini-clip"),
        (("caf\u00e9", "cafe\u0301"), "the same to mini-clip"),
        (("\ufb01sh", "fish"), "forms of characters"),
        ((f"{LONG} square", f"{LONG} circle"), "square', '.*circle' are .* after 24 tokens"),
    ],
)
def test_the_same_captions(
    mini: Backbone, digits: Task, names: tuple[str, ...], words: str
) -> None:
    with pytest.raises(TaskError, match=words):
        check_captions(mini, replace(digits, class_names=names))


def test_words_that_no_caption_had_are_told(mini: Backbone, digits: Task) -> None:
    names = ("red daisy", "star", "stingray")
    with pytest.warns(DplWarning, match="mini-clip never saw the words 'daisy', 'stingray' of"):
        check_captions(mini, replace(digits, class_names=names))


def test_captions_that_are_cut_are_told(mini: Backbone, digits: Task) -> None:
    whole = " ".join(["star"] * 16)
    fits = replace(digits, class_names=(whole, "square"))
    assert int((mini.tokenize(fits.captions()) > 0).sum(dim=-1).max()) == 24
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_captions(mini, fits, "mean_embedding")
    with pytest.warns(DplWarning, match=r"the whole captions of 1 of 2 classes.* 'star star"):
        check_captions(mini, replace(digits, class_names=(f"{whole} star", "square")))
    ensemble = replace(fits, templates=("a {}.", "a photo of the star of a {}."))
    with pytest.warns(DplWarning, match=r"of 1 of 2 .* cut off: 'star star"):
        check_captions(mini, ensemble, "mean_embedding")


@pytest.mark.parametrize("name", MINI_TASKS)
def test_the_embedded_tasks_are_told_apart(mini: Backbone, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_captions(mini, load_task(f"mini/{name}"), "mean_embedding")


def test_features_that_are_nearly_the_same(small_backbone: Backbone, image_folder: object) -> None:
    task = replace(load_task(str(image_folder)), class_names=("dark", "grey", "white"))
    table = small_backbone.text.token_table
    one, two = (int(small_backbone.tokenize([each])[0, 1]) for each in ("grey", "white"))
    kept = table[one].clone()
    try:
        with torch.no_grad():
            table[one] = table[two] + 1e-6
        with pytest.warns(
            DplWarning, match=r"the classes 'grey', 'white' apart, .* nearly the same"
        ):
            check_captions(small_backbone, task)
        three = replace(task, class_names=("dark grey", "grey", "white", "dark white"))
        with pytest.warns(DplWarning, match=r"apart, as .* nearly the same .*cosine over 0\.999"):
            check_captions(small_backbone, three)
    finally:
        with torch.no_grad():
            table[one] = kept


def test_templates_that_are_cut(small_backbone: Backbone, image_folder: object) -> None:
    """The task's own template tells the classes apart, those of the ensemble do not."""
    task = replace(load_task(str(image_folder)), templates=(f"a {LONG} {{}}.",))
    check_captions(small_backbone, task)
    with pytest.raises(TaskError, match="cuts captions after 20 tokens"):
        check_captions(small_backbone, task, "mean_embedding")


def test_training_is_refused(
    small_space: Space, small_backbone: Backbone, image_folder: object
) -> None:
    task = replace(load_task(str(image_folder)), class_names=("Grey", "grey", "white"))
    with pytest.raises(TaskError, match="'Grey', 'grey'"):
        train(
            small_space.uniform(2),
            small_space,
            task,
            shots=2,
            settings=TrainSettings(epochs=1),
            backbone=small_backbone,
        )
