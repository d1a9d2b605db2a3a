"""The tasks of real pictures: split by drawing, the same at every call, unseen as they say."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.gallery.held_out import find_training_pictures
from dpl_nas.gallery.pack import load_gallery
from dpl_nas.mini.vocabulary import CONTEXT_LENGTH, tokenizer
from dpl_nas.tasks import load_task, task_descriptions
from dpl_nas.tasks.gallery.captured import choose_evenly
from dpl_nas.tasks.gallery.photographs import PLACE, find_photographs
from dpl_nas.tasks.gallery.recipes import RECIPES, Recipe
from dpl_nas.tasks.gallery.splits import Pools, split_pictures, split_things
from dpl_nas.tasks.task import ImageSet, Task

GALLERY = load_gallery()
SEEN = set(find_training_pictures(GALLERY))
NAMES = sorted(name for name in task_descriptions() if name.startswith("pictures/"))
WHOLE = sorted(RECIPES)


def pictures(pools: Pools) -> set[int]:
    return {index for same in pools.values() for part in same.values() for index in part}


def concepts(pools: Pools) -> set[str]:
    return {GALLERY.pictures[index].drawing.partition("/")[2] for index in pictures(pools)}


def drawings(pools: Pools) -> set[str]:
    return {GALLERY.pictures[index].drawing for index in pictures(pools)}


def content(images: ImageSet, rows: range) -> list[bytes]:
    return [np.asarray(images.image(row)).tobytes() for row in rows]


@pytest.fixture(scope="module", params=["objects-r", "flags", "vehicles"])
def task(request: pytest.FixtureRequest) -> Task:
    return load_task(f"pictures/{request.param}")


def test_there_are_eleven_tasks_and_the_variants_of_one() -> None:
    assert len(WHOLE) >= 11
    assert {f"pictures/objects-{each}" for each in ("v2", "sketch", "r", "a")} <= set(NAMES)


@pytest.mark.parametrize("name", WHOLE)
def test_no_drawing_is_among_the_shots_and_in_a_test_set(name: str) -> None:
    recipe = RECIPES[name]
    train, test = split_pictures(GALLERY, recipe)
    tests = [test]
    for variant in recipe.variants.values():
        again, varied = split_pictures(GALLERY, recipe, variant)
        assert again == train
        tests.append(varied)
    for each in tests:
        assert set(each) <= set(train)
        assert len(each) >= 4
        assert not drawings(train) & drawings(each)
        assert not pictures(train) & pictures(each)
        if recipe.by_turns:
            assert concepts(each) <= concepts(train)
        elif not recipe.test_styles:
            assert not concepts(train) & concepts(each)


@pytest.mark.parametrize("name", [name for name in WHOLE if RECIPES[name].by_turns])
def test_every_artist_has_a_turn(name: str) -> None:
    recipe = RECIPES[name]
    for pools in split_pictures(GALLERY, recipe):
        counts = Counter(drawing.partition("/")[0] for drawing in drawings(pools))
        assert set(counts) == set(recipe.styles)
        assert max(counts.values()) < 5 * min(counts.values())


@pytest.mark.parametrize("name", WHOLE)
def test_what_a_task_says_is_unseen_is_unseen(name: str) -> None:
    recipe = RECIPES[name]
    parts = [split_pictures(GALLERY, recipe, each) for each in recipe.variants.values()]
    shown = [*split_pictures(GALLERY, recipe), *(part[1] for part in parts)]
    used = set().union(*map(pictures, shown))
    assert not used & SEEN
    styles = {GALLERY.pictures[index].style for index in SEEN}
    if recipe.level == "style":
        assert not {GALLERY.pictures[index].style for index in pictures(shown[0])} & styles
    elif recipe.level == "source":
        seen = {GALLERY.pictures[index].drawing for index in SEEN}
        assert not {GALLERY.pictures[index].drawing for index in used} & seen
    elif name != "styles":
        names = {GALLERY.pictures[index].subgroup for index in used}
        assert not {GALLERY.pictures[index].subgroup for index in SEEN} & names


@pytest.mark.parametrize("name", WHOLE)
def test_every_class_has_drawings_and_a_caption(name: str) -> None:
    recipe: Recipe = RECIPES[name]
    train, test = split_pictures(GALLERY, recipe)
    assert set(train) == set(test)
    for label, same in train.items():
        assert same
        assert label == label.strip()
        caption = recipe.template.replace("{}", label)
        assert len(tokenizer().encode(caption)) + 2 <= CONTEXT_LENGTH


def test_a_task_has_images_for_sixteen_shots_and_the_same_at_every_call(task: Task) -> None:
    again = load_task(task.name)
    assert again.class_names == task.class_names == tuple(sorted(task.class_names))
    assert again.test.labels == task.test.labels
    rows = range(0, len(task.test.labels), 301)
    assert content(again.test, rows) == content(task.test, rows)
    assert content(again.train, range(9)) == content(task.train, range(9))
    assert min(Counter(task.train.labels).values()) >= 16
    assert len(set(Counter(task.test.labels).values())) == 1
    assert task.test.image(0).size == (32, 32)


def test_test_sets_are_large(task: Task) -> None:
    assert 1500 <= len(task.test.labels) <= 2000


def test_a_variant_has_the_classes_and_shots_of_its_task() -> None:
    whole, variant = load_task("pictures/objects"), load_task("pictures/objects-a")
    assert variant.class_names == whole.class_names
    assert variant.train.labels == whole.train.labels
    assert content(variant.train, range(20)) == content(whole.train, range(20))
    assert content(variant.test, range(5)) != content(whole.test, range(5))


def test_halves_have_all_classes_once() -> None:
    base = load_task("pictures/faces", classes="base")
    new = load_task("pictures/faces", classes="new")
    assert base.class_names + new.class_names == load_task("pictures/faces").class_names
    assert len(base.class_names) - len(new.class_names) in {0, 1}
    assert set(new.test.labels) == set(range(len(new.class_names)))


def test_an_unknown_task_is_answered_with_the_closest() -> None:
    with pytest.raises(TaskError, match=r"did you mean pictures/animals\?"):
        load_task("pictures/animal")
    for name in ("styles-r", "objects-v3", "animals-sketch", "-r"):
        with pytest.raises(TaskError, match="unknown task 'pictures/"):
            load_task(f"pictures/{name}")


def test_drawings_take_turns() -> None:
    chosen = choose_evenly({"a": [1, 2, 3], "b": [4]}, 8, random.Random(1))
    assert Counter(chosen)[4] == 4
    assert sorted(set(chosen)) == [1, 2, 3, 4]
    assert choose_evenly({"a": [1, 2, 3], "b": [4]}, 8, random.Random(1)) == chosen


def test_absent_photographs_are_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PLACE, str(tmp_path))
    with pytest.raises(TaskError, match="install it, or extract it") as told:
        load_task("pictures/photos")
    assert "tuxpaint-stamps-default" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.fixture
def stamps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a few pictures where photographs would be."""
    folders = {
        "animals/birds": ["hen", "owl", "owl-2", "owl_mirror", "cartoon/tux"],
        "animals/insects": ["bee", "fly"],
        "animals/mammals": ["dogs/dog", "cow"],
        "food/fruit": ["apple", "pear"],
        "food/vegetables": ["corn", "leek"],
        "household": ["mug", "key"],
        "plants/flowers": ["flower1", "flower2"],
        "symbols/money/us": ["penny", "dime"],
        "town/roadsigns": ["stop", "stoplight_01_red", "stoplight_02_green"],
        "vehicles": ["car", "bus"],
    }
    shade = 0
    for folder, files in folders.items():
        for name in files:
            path = tmp_path / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            shade += 7
            image = Image.new("RGBA", (40, 40))
            image.paste((shade, 200, 90, 255), (5, 9, 30 + shade % 9, 25))
            image.save(path)
    monkeypatch.setenv(PLACE, str(tmp_path))
    return tmp_path


def test_photographs_are_split_by_what_they_show(stamps: Path) -> None:
    with pytest.warns(DplWarning, match="holds other photographs than tuxpaint-stamps-default"):
        found = find_photographs()
    assert {thing: len(files) for thing, files in found["bird"].items()} == {
        "animals/birds/hen": 1,
        "animals/birds/owl": 2,
    }
    assert len(found["road sign"]) == 2
    assert len(found["flower"]) == 2
    train, test = split_things({"bird": {"hen": [1], "owl": [2, 3], "tit": [4]}})
    assert len(train["bird"]) == 2
    assert len(test["bird"]) == 1
    assert not set(train["bird"]) & set(test["bird"])


def test_photographs_make_a_task(stamps: Path) -> None:
    with pytest.warns(DplWarning, match="not the task that others have"):
        task = load_task("pictures/photos")
    assert len(task.class_names) == 10
    assert len(task.train.labels) == 400
    assert len(task.test.labels) == 1500
    (stamps / "food/fruit/pear.png").write_bytes(b"no picture")
    with (
        pytest.warns(DplWarning, match="other photographs"),
        pytest.raises(TaskError, match="is not a readable picture"),
    ):
        load_task("pictures/photos")
    (stamps / "food/fruit/pear.png").unlink()
    # One thing of a class would leave nothing to test.
    with pytest.raises(TaskError, match="does not hold them all: install it"):
        load_task("pictures/photos")


@pytest.mark.skipif(PLACE not in os.environ, reason=f"needs the photographs: set {PLACE}")
def test_the_photographs_are_as_many_as_expected() -> None:
    counts = {name: len(things) for name, things in find_photographs().items()}
    assert min(counts.values()) >= 15
    assert sum(counts.values()) > 250
