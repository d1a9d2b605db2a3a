from pathlib import Path

import pytest

from dpl_nas.errors import TaskError
from dpl_nas.tasks import check_images, few_shot_split, load_task, task_digest
from dpl_nas.tasks import test_digest as digest_of_tests
from dpl_nas.tasks.task import Task


def images(task: Task, rows: tuple[int, ...]) -> list[tuple[bytes, str]]:
    return [
        (task.pool.image(row).tobytes(), task.class_names[task.pool.labels[row]]) for row in rows
    ]


@pytest.mark.parametrize("validation", ["none", "split", "extra"])
@pytest.mark.parametrize("name", ["mini/digits", "coop/EuroSAT"])
def test_the_halves_share_one_draw(whole_benchmark: Path, name: str, validation: str) -> None:
    whole, base, new = (load_task(name, whole_benchmark, each) for each in ("all", "base", "new"))  # type: ignore[arg-type]
    assert base.class_names + new.class_names == whole.class_names
    assert len(base.test.labels) + len(new.test.labels) == len(whole.test.labels)
    found = [few_shot_split(task, 4, 2, validation) for task in (whole, base, new)]  # type: ignore[arg-type]
    for part in ("shots", "train", "validation"):
        drawn, first, second = (
            images(task, getattr(split, part))
            for task, split in zip((whole, base, new), found, strict=True)
        )
        assert first == [each for each in drawn if each[1] in base.class_names]
        assert second == [each for each in drawn if each[1] in new.class_names]


def test_odd_numbers_of_classes(image_folder: Path) -> None:
    task = load_task(image_folder)
    base, new = load_task(task, classes="base"), load_task(task, classes="new")
    assert (base.class_names, new.class_names) == (("dark square", "grey"), ("white",))
    assert set(new.test.labels) == {0}
    assert load_task(base, classes="base") is base
    with pytest.raises(TaskError, match="has only its base classes"):
        load_task(base, classes="new")
    with pytest.raises(TaskError, match="has no new classes, as it has 1"):
        load_task(Task("one", ("a",), "{}", task.train, task.test), classes="new")


def test_digests_and_checks_see_the_images_behind(image_folder: Path, data: Path) -> None:
    base = load_task(image_folder, classes="base")
    assert task_digest(base, (0, 1)) != task_digest(load_task(image_folder), (0, 1))
    assert digest_of_tests(base) != digest_of_tests(load_task(image_folder))
    task = load_task("coop/EuroSAT", data, "new")
    before = task_digest(task, range(len(task.pool.labels)))
    (data / "eurosat/2750/blue car/val_2.jpg").write_bytes(b"no image")
    assert task_digest(task, range(len(task.pool.labels))) != before
    assert task_digest(task, range(len(task.train.labels)))
    check_images(task, range(len(task.train.labels)))
    with pytest.raises(TaskError, match=r"blue car/val_2\.jpg is not a readable image"):
        check_images(task, range(len(task.pool.labels)))
