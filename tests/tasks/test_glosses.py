"""The embedded tasks of texts."""

import pytest

from dpl_nas.errors import TaskError
from dpl_nas.tasks import Task, load_task, task_descriptions
from dpl_nas.tasks.glosses import GLOSS_TASKS
from dpl_nas.tasks.texts import TextSet


def texts(task: Task, part: str) -> list[str]:
    found = getattr(task, part)
    assert isinstance(found, TextSet)
    return list(found.texts)


@pytest.mark.parametrize("name", GLOSS_TASKS)
def test_a_task_has_texts_and_words(name: str) -> None:
    task = load_task(f"glosses/{name}")
    assert f"glosses/{name}" in task_descriptions()
    assert (task.inputs, len(task.class_names)) == ("texts", 8)
    assert all(" " not in word for word in task.class_names)
    train, test = texts(task, "train"), texts(task, "test")
    assert len(train) == len(set(train)) >= 800
    assert len(test) == len(set(test)) >= 400
    assert not set(train) & set(test)
    for part in (task.train, task.test):
        assert min(list(part.labels).count(label) for label in range(8)) >= 50
    prompt = task.train.image(0)
    assert prompt.text == train[0]
    assert not prompt.after.endswith(" ")


def test_an_unknown_one_is_refused_with_the_names() -> None:
    with pytest.raises(TaskError, match="glosses/natures"):
        load_task("glosses/natures")
