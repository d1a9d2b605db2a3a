import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dpl_nas.config import RunConfig
from dpl_nas.engine.ledger import Ledger, read_ledger
from dpl_nas.errors import CheckpointError, ConfigError, DplWarning, OutputError, StrategyError
from dpl_nas.runs.folder import open_folder


def changed(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"seed": config.seed + 1})


def test_a_new_folder_is_claimed(run_config: RunConfig, tmp_path: Path) -> None:
    with open_folder(tmp_path / "run", run_config, resume=False) as folder:
        assert {"config.yml", "versions.json"} <= {path.name for path in folder.iterdir()}


def test_one_process_at_a_time(run_config: RunConfig, tmp_path: Path) -> None:
    with (
        open_folder(tmp_path, run_config, resume=False),
        pytest.raises(OutputError, match="in use by a run that is still going"),
        open_folder(tmp_path, run_config, resume=True),
    ):
        pass


def test_a_run_goes_on_with_its_own_settings_only(run_config: RunConfig, tmp_path: Path) -> None:
    with open_folder(tmp_path, run_config, resume=False):
        (tmp_path / "alphas.jsonl").touch()
    with open_folder(tmp_path, run_config, resume=True):
        pass
    with (
        pytest.raises(OutputError, match=r"has other settings \(seed\)"),
        open_folder(tmp_path, changed(run_config), resume=True),
    ):
        pass
    with (
        pytest.raises(OutputError, match="is not empty: go on with --resume"),
        open_folder(tmp_path, run_config, resume=False),
    ):
        pass


def test_other_threads_are_told(
    run_config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_folder(tmp_path, run_config, resume=False):
        (tmp_path / "alphas.jsonl").touch()
    now = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: now + 1)
    with (
        pytest.warns(DplWarning, match=f"begun with {now} threads and goes on with {now + 1}"),
        open_folder(tmp_path, run_config, resume=True),
    ):
        pass
    # A complete run goes on with nothing.
    (tmp_path / "result.json").touch()
    with open_folder(tmp_path, run_config, resume=True):
        pass
    (tmp_path / "versions.json").write_text("{}")
    with (
        pytest.raises(CheckpointError, match=r"versions\.json .*: remove it to write it again"),
        open_folder(tmp_path, run_config, resume=True),
    ):
        pass
    (tmp_path / "versions.json").unlink()
    with open_folder(tmp_path, run_config, resume=True):
        assert (tmp_path / "versions.json").exists()


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("seed: 3", "seed: 4", "does not fit its checksum"),
        # Without its lines, settings have their defaults.
        ("\ndevices: 1", "", "does not fit its checksum"),
        ("# sha256: ", "# ", "has no checksum"),
        ("task:", "task", "is not valid YAML"),
    ],
)
def test_a_configuration_that_was_changed_is_named(
    run_config: RunConfig, tmp_path: Path, before: str, after: str, problem: str
) -> None:
    with open_folder(tmp_path, run_config, resume=False):
        (tmp_path / "alphas.jsonl").touch()
    file = tmp_path / "config.yml"
    assert RunConfig.model_validate(yaml.safe_load(file.read_text())) == run_config
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))
    for config in (run_config, changed(run_config)):
        with (
            pytest.raises(ConfigError, match=rf"config\.yml .*{problem}"),
            open_folder(tmp_path, config, resume=True),
        ):
            pass
    file.write_text(f"# Mine.\n{text}\n")
    with open_folder(tmp_path, run_config, resume=True):
        pass


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_where_nothing_was_done_takes_new_settings(
    run_config: RunConfig, tmp_path: Path, resume: bool
) -> None:
    with open_folder(tmp_path, run_config, resume=False):
        (tmp_path / ".config.yml.12345678.tmp").touch()
    before = (tmp_path / "config.yml").read_text()
    with open_folder(tmp_path, changed(run_config), resume=resume):
        assert (tmp_path / "config.yml").read_text() != before


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_a_killed_run_left_half_written_goes(
    run_config: RunConfig, tmp_path: Path, overwrite: bool
) -> None:
    left = [tmp_path / ".train.state.01234567.tmp", tmp_path / "manual/.train.state.89abcdef.tmp"]
    with open_folder(tmp_path, run_config, resume=False):
        (tmp_path / "alphas.jsonl").touch()
        (tmp_path / "manual").mkdir()
    for path in left:
        path.touch()
    with open_folder(tmp_path, run_config, resume=not overwrite, overwrite=overwrite):
        assert not any(path.exists() for path in left)
        assert (tmp_path / "alphas.jsonl").exists() != overwrite


def test_temporary_files_of_others_stay(run_config: RunConfig, tmp_path: Path) -> None:
    with open_folder(tmp_path, run_config, resume=False):
        (tmp_path / "alphas.jsonl").touch()
    (tmp_path / "mine.tmp").touch()
    (tmp_path / ".mine.tmp").touch()
    with open_folder(tmp_path, run_config, resume=True):
        pass
    with (
        pytest.raises(OutputError, match=r"found \.mine\.tmp in"),
        open_folder(tmp_path, run_config, resume=False, overwrite=True),
    ):
        pass
    assert (tmp_path / "mine.tmp").exists()
    assert (tmp_path / ".mine.tmp").exists()


@pytest.mark.parametrize("resume", [False, True])
def test_somebody_elses_folder_is_left_alone(
    run_config: RunConfig, tmp_path: Path, resume: bool
) -> None:
    (tmp_path / "notes.txt").touch()
    with (
        pytest.raises(OutputError, match="is not empty"),
        open_folder(tmp_path, run_config, resume=resume),
    ):
        pass
    (tmp_path / "notes.txt").unlink()
    (tmp_path / "config.yml").write_text("somebody: else")
    with (
        pytest.raises(ConfigError, match="has no checksum in its last line"),
        open_folder(tmp_path, run_config, resume=resume),
    ):
        pass
    assert (tmp_path / "config.yml").read_text() == "somebody: else"


@pytest.mark.parametrize("made", [False, True])
def test_what_is_refused_before_it_began_leaves_nothing(
    run_config: RunConfig, tmp_path: Path, made: bool
) -> None:
    folder = tmp_path / "run"
    if not made:
        folder.mkdir()

    def refused(*entries: dict[str, Any]) -> None:
        with (
            open_folder(folder, run_config, resume=False),
            Ledger(folder / "ledger.jsonl", {}) as ledger,
        ):
            for entry in entries:
                ledger.append(entry)
            raise StrategyError("too large")

    with pytest.raises(StrategyError, match="too large"):
        refused()
    assert folder.exists() != made
    assert not folder.exists() or [each.name for each in folder.iterdir()] == [".lock"]
    with pytest.raises(StrategyError, match="too large"):
        refused({"charge": "epoch 0"})
    # Something was paid for: it stays.
    assert (folder / "config.yml").exists()
    assert len(read_ledger(folder / "ledger.jsonl")) == 1


def test_a_name_that_is_no_text(run_config: RunConfig, tmp_path: Path) -> None:
    folder = tmp_path / "run\udcff"
    with (
        pytest.raises(OutputError, match="is not UTF-8"),
        open_folder(folder, run_config, resume=False),
    ):
        pass
    assert not folder.exists()


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else ""
        for path in folder.rglob("*")
    }


def done(folder: Path, config: RunConfig) -> None:
    with open_folder(folder, config, resume=False):
        for name in ("alphas.jsonl", "manual/train.state", "trials/a.state", "tensorboard/x"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).touch()
        (folder / "tensorboard/x").rename(folder / "tensorboard/events.out.tfevents.1")


def test_a_run_is_overwritten_whole(run_config: RunConfig, tmp_path: Path) -> None:
    done(tmp_path, run_config)
    with open_folder(tmp_path, run_config, resume=False, overwrite=True):
        assert set(contents(tmp_path)) == {".lock", "config.yml", "versions.json"}


@pytest.mark.parametrize(
    "name",
    [
        "alphas.png",
        "result.json",
        "trials/x.state",
        "manual/train.state",
        "tensorboard/events.out.tfevents.2",
        ".thesis.deadbeef.tmp",
        ".result.json.deadbeef.tmp",
        "tensorboard/plugins",
        "manual/trials",
    ],
)
@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_what_only_has_the_name_of_a_file_of_a_run_stays(
    run_config: RunConfig, tmp_path: Path, name: str, kind: str
) -> None:
    folder = tmp_path / "run"
    done(folder, run_config)
    (folder / name).unlink(missing_ok=True)
    if kind == "folder":
        (folder / name).mkdir()
        (folder / name / "thesis.tex").write_text("mine")
    elif kind == "link":
        (tmp_path / "thesis.tex").write_text("mine")
        (folder / name).symlink_to(tmp_path / "thesis.tex")
    else:
        os.mkfifo(folder / name)
    before = contents(tmp_path)
    with (
        pytest.raises(OutputError, match="removes only what a run has written"),
        open_folder(folder, run_config, resume=False, overwrite=True),
    ):
        pass
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["manual", "trials", "tensorboard"])
@pytest.mark.parametrize("linked", [False, True])
def test_what_only_has_the_name_of_a_folder_of_a_run_stays(
    run_config: RunConfig, tmp_path: Path, name: str, linked: bool
) -> None:
    folder = tmp_path / "run"
    done(folder, run_config)
    shutil.rmtree(folder / name)
    if linked:
        other = tmp_path / "other"
        other.mkdir()
        (other / ".train.state.01234567.tmp").write_text("mine")
        (other / ".a.state.01234567.tmp").write_text("mine")
        (folder / name).symlink_to(other)
    else:
        (folder / name).write_text("mine")
    before = contents(tmp_path)
    with (
        pytest.raises(OutputError, match=f"found {name} in"),
        open_folder(folder, run_config, resume=False, overwrite=True),
    ):
        pass
    assert contents(tmp_path) == before
    refused = pytest.raises(OutputError, match="is a link") if linked else nullcontext()
    with refused, open_folder(folder, run_config, resume=True):
        pass
    assert contents(tmp_path) == before


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("others", [("notes.txt",), ()])
@pytest.mark.parametrize("linked", [False, True])
def test_a_lock_of_another_program_stays(
    run_config: RunConfig, tmp_path: Path, overwrite: bool, others: tuple[str, ...], linked: bool
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in others:
        (folder / name).write_text("mine")
    lock = tmp_path / "precious" if linked else folder / ".lock"
    lock.write_text("mine")
    if linked:
        (folder / ".lock").symlink_to(lock)
    before = contents(tmp_path)
    with (
        pytest.raises(OutputError),
        open_folder(folder, run_config, resume=False, overwrite=overwrite),
    ):
        pass
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", [".lock", "config.yml"])
@pytest.mark.parametrize("resume", [False, True])
def test_pipes_are_not_waited_for(
    run_config: RunConfig, tmp_path: Path, name: str, resume: bool
) -> None:
    os.mkfifo(tmp_path / name)
    with (
        pytest.raises((OutputError, ConfigError), match="pipe or a device"),
        open_folder(tmp_path, run_config, resume=resume),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_texts_that_look_like_other_values_come_back(run_config: RunConfig, tmp_path: Path) -> None:
    for name in ("1e5", "0o17", "no", "2020-01-01", "1:30", "=", "010", "null"):
        config = run_config.model_copy(update={"task": name})
        folder = tmp_path / name
        with open_folder(folder, config, resume=False):
            (folder / "alphas.jsonl").touch()
        with open_folder(folder, config, resume=True):
            pass


@pytest.mark.parametrize("name", ["manual", "trials", "tensorboard"])
def test_a_folder_of_the_run_that_is_a_link(
    run_config: RunConfig, tmp_path: Path, name: str
) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "run"
    victim.mkdir()
    with open_folder(folder, run_config, resume=False):
        (folder / name).symlink_to(victim)
        (folder / "search.json").write_text("{}")
    with (
        pytest.raises(OutputError, match=f"{name} is a link"),
        open_folder(folder, run_config, resume=True),
    ):
        pass
    assert not list(victim.iterdir())


def test_finals_in_a_folder_of_a_folder_are_a_run_s_own(tmp_path: Path) -> None:
    from dpl_nas.runs.folder import _foreign

    for place in (tmp_path / "finals", tmp_path / "manual" / "finals"):
        place.mkdir(parents=True)
        (place / "ledger.jsonl").write_text("")
    (tmp_path / "config.yml").write_text("task: mini/digits\n")
    (tmp_path / "manual" / "finals" / "mine.txt").write_text("")
    assert _foreign(tmp_path) == ["manual/finals/mine.txt"]
    (tmp_path / "manual" / "finals" / "mine.txt").unlink()
    assert not _foreign(tmp_path)
