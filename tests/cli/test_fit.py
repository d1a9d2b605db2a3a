"""``dpl-nas fit``, ``predict`` and ``show`` on pictures in folders."""

import csv
import io
import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Program = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def options(mini_weights: Path, image_folder: Path) -> list[str]:
    """A fit of a few seconds."""
    return [
        *("fit", str(image_folder), "--preset", "quick", "--shots", "4"),
        *("train.epochs=1", f"space.backbone.pretrained={mini_weights}"),
    ]


@pytest.fixture
def fitted(call: Any, options: list[str], tmp_path: Path) -> Path:
    out = tmp_path / "classifier"
    found = call(*options, "--out", out, "--json", "--quiet")
    assert found.code == 0, found.err
    assert found.json["test"]["images"] == 60
    assert found.json["classifier"] == str(out)
    return out


def test_fit_show_and_fit_again(
    call: Any, options: list[str], fitted: Path, tmp_path: Path
) -> None:
    names = {each.name for each in fitted.iterdir()}
    assert names == {
        ".lock",
        "README.md",
        "config.json",
        "evidence.safetensors",
        "fit.json",
        "model.safetensors",
        "report.html",
        "result.json",
    }
    # It is complete, so the same command only says so again.
    before = (fitted / "config.json").stat().st_mtime_ns
    again = call(*options, "--out", fitted)
    assert again.code == 0
    assert "3 classes: dark_square, grey, white" in again.out
    assert "on 60 test pictures" in again.out
    assert (fitted / "config.json").stat().st_mtime_ns == before
    shown = call("show", fitted, "--json").json
    assert shown["labels"] == ["dark_square", "grey", "white"]
    assert shown["leaderboard"][0]["name"] == shown["chosen"]
    assert shown["test"]["images"] == 60
    assert "on 60 test pictures" in call("show", fitted).out

    other = call(*options, "--out", fitted, "--seed", "2")
    assert other.code == 2
    assert "has other data or settings (images, seed)" in other.err
    assert call(*options, "--out", fitted, "--seed", "2", "--overwrite").code == 0

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    for more in ((), ("--overwrite",)):
        refused = call(*options, "--out", tmp_path / "mine", *more)
        assert refused.code == 2
        assert "is not empty: use another folder" in refused.err
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


def test_a_share_is_kept_for_the_test_where_there_is_none(
    call: Any, options: list[str], image_folder: Path, tmp_path: Path
) -> None:
    options[1] = str(image_folder / "train")
    found = call(*options, "--out", tmp_path / "a", "--json")
    assert found.json["test"]["images"] == 6
    assert "6 of 30 images, 20% of each class, are kept for the test" in found.err
    assert "or --test-share of dpl-nas fit, change that" in found.err
    none = call(*options, "--out", tmp_path / "b", "--json", "--test-share", "0")
    assert none.json["test"] is None


def test_test_pictures_that_are_trained_on_are_told(
    call: Any, options: list[str], image_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(image_folder / "train", tmp_path / "task" / "train")).parent
    for name in ("dark_square", "grey", "white"):
        (folder / "test" / name).mkdir(parents=True)
        copied = sorted((folder / "train" / name).glob("*.png"))[:2]
        for file in copied:
            shutil.copy(file, folder / "test" / name / f"copy_{file.name}")
    options[1] = str(folder)
    options[options.index("--shots") + 1] = "all"
    out = tmp_path / "classifier"
    found = call(*options, "--out", out)
    assert found.code == 0, found.err
    told = "6 test pictures, of which 6 are trained on, too"
    assert told in found.out
    assert told in (out / "report.html").read_text()
    assert json.loads((out / "result.json").read_text())["test"]["seen"] == 6


def test_predictions_keep_their_order(
    call: Any, fitted: Path, image_folder: Path, tmp_path: Path
) -> None:
    files = sorted((image_folder / "test").rglob("*.png"))
    random.Random(0).shuffle(files)
    table = tmp_path / "table.csv"
    found = call("predict", fitted, *files[:7], "--json", "--csv", table, "--top", "2")
    assert found.code == 0, found.err
    rows = found.json["predictions"]
    assert [row["path"] for row in rows] == [str(file) for file in files[:7]]
    for row in rows:
        first, second = row["top"]
        assert row["label"] == first["label"]
        assert row["probability"] == first["probability"] >= second["probability"]
    lines = list(csv.reader(io.StringIO(table.read_text())))
    assert lines[0] == ["path", "label", "probability", "dark_square", "grey", "white", "error"]
    for line, row in zip(lines[1:], rows, strict=True):
        assert line[:2] == [row["path"], row["label"]]
        assert sum(map(float, line[3:6])) == pytest.approx(1, abs=1e-5)
        assert line[6] == ""


def test_folders_patterns_and_lists(
    call: Any, fitted: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = image_folder / "test" / "grey"
    folder = call("predict", fitted, grey, "--json").json
    pattern = call("predict", fitted, f"{grey}/*.png", "--json").json
    assert folder == pattern
    assert folder["read"] == 20
    paths = "\n".join(str(file) for file in sorted(grey.glob("*.png")))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{paths}\n\n"))
    assert call("predict", fitted, "-", "--json").json == folder


def test_a_table_replaces_only_what_it_may(call: Any, fitted: Path, tmp_path: Path) -> None:
    picture = tmp_path / "one.png"
    Image.new("RGB", (40, 30), "grey").save(picture)
    content = picture.read_bytes()
    link = tmp_path / "link.csv"
    for target in (picture, link, fitted / "config.json"):
        link.unlink(missing_ok=True)
        link.symlink_to(picture)
        for more in ((), ("--overwrite",)):
            refused = call("predict", fitted, picture, "--csv", target, *more)
            assert refused.code == 2
            assert "is one of the files that are read: give another" in refused.err
    assert picture.read_bytes() == content
    table = tmp_path / "table.csv"
    table.write_text("mine")
    link.unlink()
    link.symlink_to(table)
    refused = call("predict", fitted, picture, "--csv", link)
    assert refused.code == 2
    assert "exists: give --overwrite, or another file" in refused.err
    assert table.read_text() == "mine"
    assert call("predict", fitted, picture, "--csv", link, "--overwrite").code == 0
    assert link.is_symlink()
    assert table.read_text().startswith("path,label")
    assert "is a folder" in call("predict", fitted, picture, "--csv", tmp_path).err


def test_a_table_goes_to_pipes_and_stdout(call: Any, fitted: Path, tmp_path: Path) -> None:
    picture = tmp_path / "one.png"
    Image.new("RGB", (40, 30), "grey").save(picture)
    found = call("predict", fitted, picture, "--csv", "-")
    header, row = found.out.splitlines()
    assert header == "path,label,probability,dark_square,grey,white,error"
    assert row.startswith(f"{picture},")
    both = call("predict", fitted, picture, "--csv", "-", "--json")
    assert both.code == 2
    assert "would both write to stdout: give --csv a file" in both.err
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_text)
        assert call("predict", fitted, picture, "--csv", pipe).code == 0
        assert read.result(timeout=60) == found.out
    assert pipe.is_fifo()


def test_names_of_all_kinds(
    call: Any, fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    names = [b"a\rb.png", b"c\nd.png", b"e\xff.png", b'f",.png', b"g\th.png"]
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(_png())
    table = tmp_path / "table.csv"
    found = call("predict", fitted, folder, "--csv", table)
    assert found.code == 0, found.err
    with table.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        rows = list(csv.DictReader(stream))
    assert [os.fsencode(Path(row["path"]).name) for row in rows] == names
    assert all(line.count("\t") == 1 for line in found.out.splitlines())
    assert r"e\udcff.png" in found.out
    # A list of such names, and names that no file can have.
    long = folder / ("x" * 300 + ".png")
    lines = [*(os.fsencode(folder) + b"/" + name for name in names[2:4]), os.fsencode(long)]
    stdin = io.TextIOWrapper(io.BytesIO(b"\n".join(lines)), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", stdin)
    found = call("predict", fitted, "-", long, "--json")
    assert found.code == 1
    assert (found.json["read"], found.json["unread"]) == (2, 2)
    error = found.json["predictions"][-1]["error"]
    assert "(File name too long)" in error
    assert len(error) < 450
    monkeypatch.setattr("sys.stdin", None)
    closed = call("predict", fitted, "-")
    assert closed.code == 2
    assert "- stands for a list on stdin, which is closed" in closed.err


def _png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "grey").save(stream, "PNG")
    return stream.getvalue()


def test_settings_of_the_task_count(call: Any, options: list[str], tmp_path: Path) -> None:
    options[1] = "mini/digits"
    found = call(*options, "--out", tmp_path / "half", "--json", "classes=base")
    assert found.code == 0, found.err
    labels = call("show", tmp_path / "half", "--json").json["labels"]
    assert len(labels) == 5


def test_what_cannot_be_read_is_told(call: Any, fitted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    Image.new("RGB", (40, 30), "grey").save(folder / "good.png")
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.gif").write_text("<html>")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "notes.txt").write_text("left out")
    found = call("predict", fitted, folder, folder / "nowhere.png", "--json")
    assert found.code == 1
    rows = {Path(row["path"]).name: row for row in found.json["predictions"]}
    assert list(rows) == ["bad.png", "empty.jpg", "good.png", "text.gif", "nowhere.png"]
    assert [name for name, row in rows.items() if "error" not in row] == ["good.png"]
    assert "it is empty" in rows["empty.jpg"]["error"]
    assert "it does not exist" in rows["nowhere.png"]["error"]
    assert (found.json["read"], found.json["unread"]) == (1, 4)
    assert "4 of 5 pictures could not be read" in found.err
    assert "files without the name of a picture are left out (1): 'notes.txt'" in found.err
    shown = call("predict", fitted, folder)
    assert len(shown.out.splitlines()) == 4
    assert "Traceback" not in shown.err


def test_unknown_pictures(call: Any, fitted: Path, image_folder: Path) -> None:
    files = sorted((image_folder / "test").rglob("*.png"))
    found = call("predict", fitted, *files, "--json", "--unknown", "0.9")
    sure = [row["probability"] for row in found.json["predictions"] if row["label"] != "unknown"]
    doubtful = [
        row["probability"] for row in found.json["predictions"] if row["label"] == "unknown"
    ]
    assert doubtful
    assert max(doubtful) < min(sure, default=1.0)
    few = call("predict", fitted, files[0], "--unknown", "0.01")
    assert few.code == 2
    assert "--unknown 0.01 needs 99 pictures to have been learned from, found 12" in few.err


def test_report(call: Any, fitted: Path) -> None:
    page = fitted / "report.html"
    first = page.read_text()
    assert "On 60 test pictures" in first
    page.unlink()
    found = call("report", fitted, "--json")
    assert found.code == 0, found.err
    assert page.read_text() == first
    assert [each["label"] for each in found.json["classes"]] == ["dark_square", "grey", "white"]
    assert sum(map(sum, found.json["confusion"])) == 12
    (fitted / "evidence.safetensors").write_bytes(b"\0" * 9)
    damaged = call("report", fitted)
    assert damaged.code == 2
    assert "evidence.safetensors is damaged: fit again" in damaged.err


def test_export(call: Any, fitted: Path, tmp_path: Path) -> None:
    file = tmp_path / "classifier.pt2"
    found = call("export", fitted, "--format", "pt2", "--out", file, "--json")
    assert found.code == 0, found.err
    assert found.json["bytes"] == file.stat().st_size
    assert found.json["difference"] < 1e-4
    again = call("export", fitted, "--format", "pt2", "--out", file)
    assert again.code == 2
    assert "exists: give --overwrite, or another file" in again.err


def test_methods_are_compared_too(
    call: Any, options: list[str], tmp_path: Path, image_folder: Path
) -> None:
    out = tmp_path / "classifier"
    methods = ("--method", "tip-adapter", "--method", "ivlp", "--quiet", "--json")
    settings = ("tip-adapter.views=1", "ivlp.recipe=problem", "ivlp.lengths={image: [0, 2]}")
    assert call(*options, *methods, *settings, "--out", out).code == 0
    board = call("show", out, "--json").json["leaderboard"]
    names = {each["name"]: each["vectors"] for each in board}
    assert names["method tip-adapter"] is None
    assert names["method ivlp"] is None
    assert "method tip-adapter" in call("show", out).out
    picture = next((image_folder / "test").rglob("*.png"))
    assert call("predict", out, picture).code == 0


def test_bad_input(call: Any, fitted: Path, options: list[str], tmp_path: Path) -> None:
    for arguments, told in (
        (["predict", tmp_path / "none", "a.png"], "there is no classifier in"),
        (["predict", fitted, tmp_path / "classifier"], "found no pictures in"),
        (["fit", tmp_path / "none", "--out", tmp_path / "x"], "there is no file or folder"),
        ([*options, "--out", tmp_path / "x", "--time-limit", "soon"], "expected a time such as"),
        ([*options, "--out", tmp_path / "x", "--shots", "0"], "whole number of 1 or more, or all"),
        (["show", tmp_path / "none"], "there is no classifier in"),
        ([*options, "--out", fitted / "config.json"], "is a file, not a folder: use another path"),
        ([*options, "--out", tmp_path / "x", "shots=3"], "has no setting shots: use --shots"),
        ([*options, "--out", tmp_path / "x", "evaluate.batch_size=3"], "evaluate.batch_size: it"),
        ([*options, "--out", tmp_path / "x", "method.name=maple"], "method.name: use --method"),
        ([*options, "--out", tmp_path / "x", "--method", "maples"], "unknown method 'maples'"),
        ([*options, "--out", tmp_path / "x", "--method", "a:B"], "PromptClassifier(methods=...)"),
        (
            [*options, "--out", tmp_path / "x", "--method", "vpt", "vpt.dept=2"],
            "unknown key dept: did you mean depth",
        ),
    ):
        found = call(*arguments)
        assert found.code == 2
        assert told in found.err
        assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_a_fit_that_was_killed_goes_on(
    program: Program, options: list[str], tmp_path: Path
) -> None:
    long = [option.replace("train.epochs=1", "train.epochs=6") for option in options]

    def finish(process: "subprocess.Popen[str]") -> dict[str, Any]:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        found: dict[str, Any] = json.loads(out)
        return {key: each for key, each in found.items() if key not in {"seconds", "classifier"}}

    whole = finish(program(*long, "--out", tmp_path / "whole", "--json", "--quiet"))
    out = tmp_path / "killed"
    killed = program(*long, "--out", out, "--json", "--quiet")
    until = time.monotonic() + 120
    while not list(out.glob("work/plain.safetensors")) and time.monotonic() < until:
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    assert not (out / "result.json").exists()
    assert finish(program(*long, "--out", out, "--json", "--quiet")) == whole
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]
