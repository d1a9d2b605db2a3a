"""What pre-training may see."""

from __future__ import annotations

import pytest

from dpl_nas.gallery.held_out import (
    GROUPS_OF_TASKS,
    TRAINING_STYLES,
    find_training_pictures,
)
from dpl_nas.gallery.pack import load_gallery
from dpl_nas.gallery.picture import Picture

GALLERY = load_gallery()
ALLOWED = [GALLERY.pictures[place] for place in find_training_pictures(GALLERY)]


def test_there_is_enough_left_to_train_on() -> None:
    assert len(ALLOWED) > 6000
    assert len({each.name for each in ALLOWED}) > 2000
    assert {each.style for each in ALLOWED} == TRAINING_STYLES | {"openclipart"}


def test_no_style_or_group_of_the_tasks_is_allowed() -> None:
    for each in ALLOWED:
        assert each.group not in GROUPS_OF_TASKS
        assert each.subgroup not in GROUPS_OF_TASKS
        assert each.licence != "CC-BY-SA-4.0"


@pytest.mark.parametrize(
    ("style", "name"),
    [("noto", "flag: France"), ("twemoji", "cook"), ("noto", "thumbs up"), ("fluent", "dog")],
)
def test_examples_of_what_is_not_allowed(style: str, name: str) -> None:
    found: list[Picture] = [
        each for each in GALLERY.pictures if each.style == style and each.name == name
    ]
    assert found
    assert not set(found) & set(ALLOWED)


def test_no_allowed_clip_art_is_a_version_of_a_drawing_of_the_tasks() -> None:
    kept = {each.drawing for each in set(GALLERY.pictures) - set(ALLOWED)}
    assert not {each.drawing for each in ALLOWED if each.style == "openclipart"} & kept
