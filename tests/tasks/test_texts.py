"""Tasks of texts: tables, folders, templates."""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.tasks import Task, check_images, load_task, task_digest
from dpl_nas.tasks.texts import TEXT_TEMPLATE, Prompt, TextSet, check_text_template

ROWS = [
    (f"the film number {number} was {word}", word, part)
    for number in range(6)
    for word in ("good", "bad")
    for part in (("train", "test")[number % 2],)
]


def table(file: Path, rows: Sequence[Sequence[str]], columns: Sequence[str]) -> Path:
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([columns, *rows])
    return file


def texts_of(task: Task, part: str) -> list[tuple[str, str]]:
    found: Any = getattr(task, part)
    return [
        (found.texts[row], task.class_names[found.labels[row]]) for row in range(len(found.texts))
    ]


def test_a_table_with_a_split(tmp_path: Path) -> None:
    task = load_task(table(tmp_path / "films.csv", ROWS, ("text", "label", "split")))
    assert (task.inputs, task.class_names) == ("texts", ("bad", "good"))
    for part in ("train", "test"):
        expected = [(text, word) for text, word, where in ROWS if where == part]
        assert sorted(texts_of(task, part)) == sorted(expected)
    assert task.template == TEXT_TEMPLATE
    assert task.train.image(0) == Prompt("", ROWS[0][0], " Topic:")
    assert "6 training texts, 6 test texts" in repr(task)
    check_images(task)


def test_a_share_is_kept_for_the_test_by_what_texts_say(tmp_path: Path) -> None:
    rows = [row[:2] for row in ROWS]
    with pytest.warns(DplWarning, match="6 of 12 images, 50% of each class, are kept"):
        task = load_task(table(tmp_path / "films.csv", rows, ("text", "label")))
    # The order of the lines decides nothing.
    with pytest.warns(DplWarning, match="are kept for the test"):
        other = load_task(table(tmp_path / "other.csv", rows[::-1], ("text", "label")))
    assert sorted(texts_of(task, "test")) == sorted(texts_of(other, "test"))
    assert len(texts_of(task, "test")) == 6


def test_settings_beside_name_columns_template_and_words(tmp_path: Path) -> None:
    file = table(tmp_path / "films.tsv.csv", ROWS, ("review", "verdict", "split"))
    file.with_suffix(".yml").write_text(
        "text: review\nlabel: verdict\ntemplate: '{text} It was {}.'\nclass_names: {good: great}\n"
    )
    task = load_task(file)
    assert task.class_names == ("bad", "great")
    assert task.train.image(0) == Prompt("", ROWS[0][0], " It was")


def test_a_folder_a_class(tmp_path: Path) -> None:
    for text, word, part in ROWS:
        place = tmp_path / part / word
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{text[16]}.txt").write_text(f"{text}\n")
    (tmp_path / "train" / "good" / "notes.md").write_text("not read")
    (tmp_path / "train" / "all.txt").write_text("not read")
    with pytest.warns(DplWarning, match=r"2 entries are no text files .* such as .*all.txt"):
        task = load_task(tmp_path)
    for part in ("train", "test"):
        expected = [(text, word) for text, word, where in ROWS if where == part]
        assert sorted(texts_of(task, part)) == sorted(expected)


def test_pictures_with_a_text_among_them_stay_pictures(image_folder: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(image_folder, tmp_path / "images"))
    (place / "train" / "dark_square" / "a.txt").write_text("about them")
    with pytest.warns(DplWarning, match=r"1 file.*a.txt"):
        assert load_task(place).inputs == "images"


def test_one_folder_keeps_a_share(tmp_path: Path) -> None:
    for text, word, _ in ROWS:
        (tmp_path / word).mkdir(exist_ok=True)
        (tmp_path / word / f"{text[16]}.txt").write_text(text)
    with pytest.warns(DplWarning, match="are kept for the test"):
        task = load_task(tmp_path)
    assert len(texts_of(task, "train")) == len(texts_of(task, "test")) == 6


def test_texts_in_both_parts_are_told(tmp_path: Path) -> None:
    rows = [*ROWS, (ROWS[0][0], "good", "test")]
    with pytest.warns(DplWarning, match="1 texts are training texts and test texts, such as 'the"):
        load_task(table(tmp_path / "films.csv", rows, ("text", "label", "split")))


def test_the_digest_is_of_texts_labels_and_template(tmp_path: Path) -> None:
    def digest(rows: Sequence[Sequence[str]], settings: str = "split_seed: 1") -> str:
        file = table(tmp_path / "films.csv", rows, ("text", "label", "split"))
        file.with_suffix(".yml").write_text(settings)
        return task_digest(load_task(file), range(6))

    first = digest(ROWS)
    assert digest(ROWS) == first
    assert digest([(f"{ROWS[0][0]}!", *ROWS[0][1:]), *ROWS[1:]]) != first
    assert digest(ROWS, "template: '{text} It was {}.'") != first


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("template: a photo of a {}", r"needs one \{text\}, and after it one \{\}"),
        ("template: '{} is {text}'", r"needs one \{text\}, and after it one \{\}"),
        ("augmentation: crop", "augmentation are about images: remove them"),
        ("label: text", "text and label should be two columns"),
        ("label: other", "has no column other: its first line, which names the columns"),
        ("class_names: {good: bad}", "two classes have the same name 'bad'"),
        ("kind: texts", "kind"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, settings: str, words: str) -> None:
    file = table(tmp_path / "films.csv", ROWS, ("text", "label", "split"))
    file.with_suffix(".yml").write_text(settings)
    with pytest.raises(TaskError, match=words):
        load_task(file)


def test_empty_texts_are_refused(tmp_path: Path) -> None:
    rows = [*ROWS, (" ", "good", "test")]
    with pytest.raises(TaskError, match=r"line 14 of .* has an empty text: give one, or remove"):
        load_task(table(tmp_path / "films.csv", rows, ("text", "label", "split")))
    for word in ("good", "bad"):
        (tmp_path / word).mkdir()
        (tmp_path / word / "1.txt").write_text("fine" if word == "good" else " \n")
    (tmp_path / "films.csv").unlink()
    with pytest.raises(TaskError, match=r"bad/1.txt is empty: remove it"):
        load_task(tmp_path)


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_template_surrounds_the_text(before: str, text: str, after: str) -> None:
    template = f"{before}{{text}}{after} {{}}"
    if template.count("{text}") != 1 or template.count("{}") != 1:
        with pytest.raises(TaskError):
            check_text_template(template, "here")
        return
    check_text_template(template, "here")
    found = TextSet([text], [0], template).image(0)
    assert (found.before, found.text, found.after) == (before, text, after.rstrip(" "))
