"""The embedded tasks."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from dpl_nas.errors import TaskError
from dpl_nas.mini.vocabulary import CONTEXT_LENGTH, tokenizer
from dpl_nas.tasks import load_task
from dpl_nas.tasks.mini import MINI_TASKS, load_mini_task
from dpl_nas.tasks.task import ImageSet, Task


@pytest.fixture(scope="module", params=sorted(MINI_TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    return load_mini_task(str(request.param))


def _bytes(images: ImageSet, count: int = 400) -> list[bytes]:
    chosen = range(min(count, len(images.labels)))
    return [np.asarray(images.image(index)).tobytes() for index in chosen]


def test_there_are_at_least_six() -> None:
    assert len(MINI_TASKS) >= 6
    assert "digits" in MINI_TASKS


def test_pools_are_large_and_labels_match_the_names(task: Task) -> None:
    classes = range(len(task.class_names))
    assert task.name.removeprefix("mini/") in MINI_TASKS
    assert len(set(task.class_names)) == len(task.class_names)
    counts = Counter(task.train.labels)
    assert sorted(counts) == list(classes)
    assert min(counts.values()) >= 40
    assert sorted(set(task.test.labels)) == list(classes)
    assert len(task.test.labels) >= (1297 if task.name == "mini/digits" else 2000)


def test_images_are_rgb(task: Task) -> None:
    image = task.train.image(0)
    assert image.mode == "RGB"
    assert image.size == ((8, 8) if task.name == "mini/digits" else (32, 32))


def test_training_and_test_images_are_disjoint(task: Task) -> None:
    assert not set(_bytes(task.train)) & set(_bytes(task.test, 3000))


def test_the_same_images_come_at_every_call(task: Task) -> None:
    again = load_mini_task(task.name.removeprefix("mini/"))
    assert _bytes(again.train, 30) == _bytes(task.train, 30)
    assert again.test.labels == task.test.labels


def test_captions_fit_the_context(task: Task) -> None:
    for caption in task.captions():
        assert len(tokenizer().encode(caption)) + 2 <= CONTEXT_LENGTH
        assert "{" not in caption


def test_an_unknown_name_is_answered_with_where_the_known_ones_are() -> None:
    for name in ("mini/nothing", "mini"):
        with pytest.raises(TaskError, match=f"unknown task '{name}': .*dpl-nas tasks lists all"):
            load_task(name)
