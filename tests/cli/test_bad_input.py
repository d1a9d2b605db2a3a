"""Bad input: one sentence on stderr, nothing on stdout, exit code 2."""

import errno
import inspect
import json
import os
from pathlib import Path

import pytest

from dpl_nas.cli.app import app
from dpl_nas.config import RunConfig
from dpl_nas.space import load_space


def contents(folder: Path, pattern: str = "*") -> dict[str, str]:
    """The texts of the files in a folder and below."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob(pattern)
        if path.is_file()
    }


RUN = ("run", "--out", "OUT")
OK = ("--task", "mini/digits")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((*RUN, "--task", "mini/digts"), "unknown task 'mini/digts': did you mean mini/digits?"),
        ((*RUN, "--task", "pictures/vehicle"), "did you mean pictures/vehicles? dpl-nas tasks"),
        ((*RUN, "--task", "qqqq"), ": dpl-nas tasks lists all of them\n"),
        ((*RUN, "--task", "vehicles"), "did you mean pictures/vehicles? dpl-nas tasks lists"),
        ((*RUN, "--task", "qqqq"), "unknown task 'qqqq', and no file or folder in /"),
        ((*RUN, "--task", "no/folder"), "there is no file or folder no/folder (looked in /"),
        ((*RUN, "--task", "list.CSV"), "there is no file or folder list.CSV (looked in /"),
        ((*RUN, "--task", "list.json"), "there is no file or folder list.json (looked in /"),
        ((*RUN, "--task", "./digits"), "there is no file or folder ./digits (looked in /"),
        ((*RUN, "--task", "/no/digits"), "there is no file or folder /no/digits: give another"),
        ((*RUN, *OK, "--space", "mini_clpi"), "unknown space 'mini_clpi'"),
        ((*RUN, *OK, "--space", "no/such.yml"), "does not exist"),
        ((*RUN, *OK, "--strategy", "dart"), "unknown strategy 'dart'"),
        (
            (*RUN, *OK, "search.epochz=1"),
            "unknown setting search.epochz: did you mean search.epochs?",
        ),
        ((*RUN, *OK, "search.epochs=1.5"), "whole number"),
        ((*RUN, *OK, "search.epochs=-1"), "greater than or equal to 1"),
        ((*RUN, *OK, "search.epochs"), "expected KEY=VALUE"),
        ((*RUN, *OK, "--shots", "4", "shots=8"), "shots is given twice, as 4 and as 8"),
        ((*RUN, *OK, "--data", "/a", "data=/b"), "data is given twice, as '/a' and as '/b'"),
        ((*RUN, *OK, "--classes", "base", "classes=new"), "classes is given twice"),
        ((*RUN, *OK, "--data", ""), "expected a path, found nothing"),
        ((*RUN, *OK, "--out", ""), "Invalid value for '--out': expected a path, found nothing"),
        (("evaluate", ""), "expected a path, found nothing"),
        ((*RUN, "--task", "~nobody-here/x"), "task: expected a path, and there is no home folder"),
        ((*RUN, *OK, "--data", "~nobody-here/x"), "there is no home folder ~nobody-here"),
        ((*RUN, *OK, "data=~nobody-here/x"), "there is no home folder ~nobody-here"),
        ((*RUN, *OK, "--space", "~nobody-here/x"), "there is no home folder ~nobody-here"),
        (("run", *OK, "--out", "~nobody-here/x"), "there is no home folder ~nobody-here"),
        (("evaluate", "~nobody-here/x"), "there is no home folder ~nobody-here"),
        (("tasks", "select", "--task", "~nobody-here/x"), "there is no home folder ~nobody-here"),
        (
            (*RUN, *OK, "space.backbone.pretrained=~nobody-here/x"),
            "pretrained: expected a path, and there is no home folder ~nobody-here",
        ),
        (("train", "--out", "OUT", *OK, "--architecture", ""), "expected a path, found nothing"),
        ((*RUN, *OK, "--shots", "2", "search.validation_shots=2"), "ask for 3 shots or more, set"),
        ((*RUN, *OK, "--shots", "1"), "ask for 2 shots or more, or set search.validation=extra"),
        ((*RUN, "--task", "a  b"), "unknown task 'a  b'"),
        ((*RUN, *OK, "--budget", ""), "expected a budget such as 40-trials"),
        ((*RUN, *OK, "evaluate.uniform_length=9"), "one that space mini_clip offers"),
        (("mini", "pretrain", "--out", "OUT", "--seed", "1", "seed=2"), "seed is given twice"),
        ((*RUN, *OK, "strategy=darts"), "choose a strategy with --strategy"),
        ((*RUN, *OK, ".=1"), "a KEY such as search.epochs, found '.=1'"),
        ((*RUN, *OK, "search.epochs=!!int 3"), "the value of search.epochs is not valid YAML"),
        ((*RUN, *OK, "search={epochs: 1, epochs: 2}"), "the value of search is not valid YAML"),
        (
            (*RUN, *OK, "search.epochs=" + "[" * 5000),
            "the value of search.epochs is not valid YAML",
        ),
        ((*RUN, *OK, "train.optimizer.lr=.inf"), "train.optimizer.lr: input should be"),
        ((*RUN, *OK, "train.optimizer.lr=1e300"), "train.optimizer.lr: input should be"),
        ((*RUN, *OK, "search.alphas.betas=[0.5, 1]"), "search.alphas.betas.1: input should be"),
        ((*RUN, *OK, "--shots", "0"), "shots: input should be greater than or equal to 1"),
        ((*RUN, *OK, "--shots", "1.5"), "Invalid value for '--shots'"),
        ((*RUN, *OK, "--shots", "100000"), "expected 100000 shots a class"),
        ((*RUN, *OK, "--seed", "-1"), "seed"),
        ((*RUN, *OK, "space.towers.image.lengths=[-2]"), "whole numbers of 0 or more, not -2"),
        ((*RUN, *OK, "space.towers.image.layers=0-99"), "searches image/99, but the image tower"),
        ((*RUN, *OK, "space.towers.image.layers=0-99999999999"), "a range such as 0-11"),
        ((*RUN, *OK, "space.towers.image.lengths=[0, 1000000]"), "whole numbers up to 1000"),
        ((*RUN, *OK, "space.backbone.model=ViT-Z"), "ViT-Z cannot be the backbone"),
        ((*RUN, *OK, "space.backbone.model=RN50"), "RN50 needs weights: set space"),
        ((*RUN, *OK, "space.backbone.pretrained=no.safetensors"), "no.safetensors"),
        ((*RUN, *OK, "--device", "abacus"), "device abacus cannot be used"),
        (("run", *OK), "Missing option '--out'"),
        (("run", "--out", "OUT"), "Missing option '--task'"),
        (("bogus",), "No such command 'bogus'"),
        (("run", "--bogus"), "No such option"),
        (("evaluate", "no/run"), "no trained prompts at no/run"),
        (("train", "--out", "OUT", *OK), "either --architecture FILE or --length N"),
        (("train", "--out", "OUT", *OK, "--length", "-4"), "0 or more, found -4"),
        (("train", "--out", "OUT", *OK, "--architecture", "no.json"), "no.json does not exist"),
        (
            ("train", "--out", "OUT", *OK, "--length", "100"),
            "(image 0, 1, 2, 3, 4, 5, 6; text 0, 1, 2, 3, 4, 5, 6), found 100: give another",
        ),
        (
            ("train", "--out", "OUT", *OK, "--length", "1", "space.max_context_vectors=3"),
            "space mini_clip allows only 3",
        ),
        (("mini", "pretrain", "--out", "OUT", ".=3"), "a KEY such as search.epochs"),
        (("mini", "pretrain", "--out", "OUT", "stepz=3"), "unknown key stepz"),
        (("mini", "gates", "--weights", "no.safetensors"), "no.safetensors"),
        (("mini", "gates", "--weights", "/"), "/ is a folder: give the file of weights"),
        ((*RUN, *OK, "space.backbone.pretrained=/"), "/ is a folder: give the file of weights"),
    ],
)
def test_one_sentence(
    call, tmp_path: Path, mini_weights: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    filled = [str(tmp_path / "out") if each == "OUT" else each for each in arguments]
    if "--out" in arguments and not any("backbone" in each for each in arguments):
        filled += [] if arguments[0] == "mini" else [f"space.backbone.pretrained={mini_weights}"]
    outcome = call(*filled)
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("error: ")
    assert complaint in outcome.err
    assert outcome.code == 2
    assert not (tmp_path / "out").exists()


def test_the_home_folder_in_every_path(
    call, quick: list[str], image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    (home / "images").symlink_to(image_folder)
    (home / "mine.yml").write_text(
        (Path(__file__).parents[2] / "strategies/random.yml").read_text()
    )
    options = ["~/images" if each == str(image_folder) else each for each in quick]
    options = ["~/mine.yml" if each == "darts" else each for each in options]
    options = [each for each in options if not each.startswith("search.")]
    done = call("train", "--length", "1", "--out", "~/run", "data=~/ROOT", *options, "--json")
    assert done.code == 0, done.err
    assert done.json["prompts"] == str(home / "run" / "prompts.safetensors")
    assert f"task: {home}/images" in (home / "run" / "config.yml").read_text()
    assert f"data: {home}/ROOT" in (home / "run" / "config.yml").read_text()
    tested = call("evaluate", "~/run", "--task", "~/images", "--json")
    assert tested.json["task"] == str(home / "images"), tested.err
    assert f"there is no folder {home}/ROOT" in call("tasks", "check", "--data", "~/ROOT").err
    # rm -r ~ would be a disaster.
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    "files",
    [
        {"notes.txt": "mine"},
        # What a run calls its own files says nothing.
        {"config.yml": "theirs: 1"},
        {"config.yml": "theirs: 1", "notes.txt": "mine"},
        {"result.json": "{}"},
        {"manual/notes.txt": "mine"},
    ],
)
@pytest.mark.parametrize("extra", [(), ("--overwrite",), ("--resume",)])
def test_somebody_elses_folder(
    call, quick: list[str], tmp_path: Path, files: dict[str, str], extra: tuple[str, ...]
) -> None:
    folder = tmp_path / "folder"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    outcome = call("run", *quick, "--out", folder, *extra)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert contents(folder) == files


@pytest.mark.parametrize(
    "setting", ["shots=100", "task=nowhere", "space.backbone.pretrained=no.safetensors"]
)
def test_bad_input_overwrites_nothing(call, quick: list[str], tmp_path: Path, setting: str) -> None:
    out = tmp_path / "run"
    assert call("train", *quick, "--out", out, "--length", "1", "--quiet").code == 0
    before = sorted(path.name for path in out.iterdir())
    outcome = call("train", *quick, setting, "--out", out, "--length", "1", "--overwrite")
    assert outcome.code == 2
    assert sorted(path.name for path in out.iterdir()) == before


def test_a_run_with_something_else_in_it(call, quick: list[str], tmp_path: Path) -> None:
    train = ("train", *quick, "--out", tmp_path / "run", "--length", "1", "--quiet")
    assert call(*train).code == 0
    notes = tmp_path / "run" / "notes.txt"
    notes.write_text("mine")
    outcome = call(*train, "--overwrite")
    assert outcome.code == 2
    assert "found notes.txt in" in outcome.err
    assert (tmp_path / "run" / "prompts.safetensors").exists()
    notes.unlink()
    assert call(*train, "--overwrite").code == 0


def test_prompts_of_other_lengths(call, quick: list[str], tmp_path: Path) -> None:
    train = ("train", *quick, "--out", tmp_path, "--quiet")
    assert call(*train, "--length", "1").code == 0
    for other in ((*train, "--length", "2"), ("run", *train[1:])):
        before = contents(tmp_path, "architecture.json")
        outcome = call(*other, "--resume")
        assert outcome.code == 2
        assert "use another folder" in outcome.err
        assert contents(tmp_path, "architecture.json") == before


def test_an_architecture_edited_by_hand(call, quick: list[str], tmp_path: Path) -> None:
    whole = json.loads(load_space("mini_clip").uniform(2).model_dump_json())
    for key in ("layers", "lengths"):
        whole[key]["image"] = whole[key]["image"][1:]
    (tmp_path / "architecture.json").write_text(json.dumps(whole))
    outcome = call("train", *quick, "--out", tmp_path / "out", "--architecture", tmp_path)
    assert outcome.code == 2
    assert "names space mini_clip but has other layers" in outcome.err
    assert outcome.err.count("\n") == 1


def test_names_that_look_like_markup(call, tmp_path: Path) -> None:
    file = tmp_path / "space.yml"
    file.write_text("name: '[red]mine[/b] :cat:'\ntowers: {image: {layers: 0-3, lengths: [0, 1]}}")
    outcome = call("space", "show", file)
    assert outcome.code == 0
    assert "[red]mine[/b] :cat:" in outcome.out


def test_options_have_the_defaults_of_settings() -> None:
    """What nobody typed is left to the settings."""
    command = next(each for each in app.registered_commands if each.name == "run").callback
    assert command is not None
    options = inspect.signature(command).parameters
    for name in ("shots", "seed", "budget", "jobs", "device"):
        assert options[name].default == RunConfig.model_fields[name].default


def test_a_run_that_is_still_going(call, quick: list[str], tmp_path: Path) -> None:
    import fcntl

    (tmp_path / "config.yml").touch()
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for extra in ("--resume", "--overwrite"):
            outcome = call("run", *quick, "--out", tmp_path, extra)
            assert outcome.code == 2
            assert "in use by a run that is still going" in outcome.err
    assert (tmp_path / "config.yml").exists()


def test_an_architecture_of_another_space(call, quick: list[str], tmp_path: Path) -> None:
    load_space("clip_vit_b16_paper").uniform(2).save(tmp_path / "architecture.json")
    outcome = call("train", *quick, "--out", tmp_path / "out", "--architecture", tmp_path)
    assert outcome.code == 2
    assert "belongs to space clip_vit_b16_paper" in outcome.err


def test_truncated_weights(call, quick: list[str], mini_weights: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    half.write_bytes(mini_weights.read_bytes()[:100_000])
    pretrained = f"space.backbone.pretrained={half}"
    outcome = call("run", *quick[:-1], pretrained, "--out", tmp_path / "out")
    assert outcome.code == 2
    assert str(half) in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"text"])
def test_prompts_that_are_none(call, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "prompts.safetensors"
    file.write_bytes(content)
    outcome = call("evaluate", file)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert str(file) in outcome.err


def test_no_disk(call, quick: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    outcome = call("run", *quick, "--out", tmp_path / "out", "--quiet")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "No space left on device" in outcome.err


def test_json_stays_silent_on_stdout(call, tmp_path: Path) -> None:
    outcome = call("run", *OK, "--out", tmp_path / "out", "--space", "nope", "--json")
    assert (outcome.code, outcome.out) == (2, "")
    with pytest.raises(json.JSONDecodeError):
        _ = outcome.json
