"""``python -m benchmarks.development``: the protocol, and a row of small searches."""

from pathlib import Path

import pytest

from benchmarks.development import main
from benchmarks.protocol import load_protocol
from dpl_nas.tasks.gallery.recipes import RECIPES
from dpl_nas.tasks.mini import MINI_TASKS


def test_the_protocol_names_tasks_that_are_there() -> None:
    found = load_protocol()
    both = {*found.development, *found.held_out}
    rendered = {f"mini/{name}" for name in MINI_TASKS}
    assert rendered <= both <= rendered | {f"pictures/{name}" for name in RECIPES}


@pytest.mark.slow
def test_variants_are_compared_on_unseen_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--out", str(tmp_path), "--tasks", "mini/mirror", "--seeds", "1", "--shots", "2"]
    arguments += ["--budget", "3-trials", "--variants", "random", "one_tower", "--"]
    arguments += ["train.epochs=1"]
    main(arguments)
    first = capsys.readouterr()
    assert "mini/mirror 1: random, one_tower" in first.err
    lines = first.out.splitlines()
    assert lines[0].startswith("| variant | mini/mirror | mean | vectors | random is ahead |")
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| random", "| one_tower"]
    main(arguments)
    again = capsys.readouterr()
    assert (again.err, again.out) == ("", first.out)


def test_held_out_tasks_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--out", "nowhere", "--tasks", "mini/digits"])
    assert "held-out" in capsys.readouterr().err
