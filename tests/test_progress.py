"""Long functions of Python show their progress, and only once, where somebody can see it."""

import inspect
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import dpl_nas
from dpl_nas import comparison, diagnostics, runs, tasks
from dpl_nas.classifier.fitting import FitSettings, fit
from dpl_nas.classifier.folder import fit_folder
from dpl_nas.config import RunConfig
from dpl_nas.observer import Observer, Stage
from dpl_nas.space import Space
from dpl_nas.tasks import Task, load_task
from dpl_nas.tasks.inventory import take_inventories
from dpl_nas.training import Problem, TrainedPrompts

#: What is drawn at a terminal, but not in a file.
CONTROL = "\x1b["


class Scene(NamedTuple):
    """What the functions work on."""

    config: RunConfig
    task: Task
    problem: Problem
    prompts: TrainedPrompts
    folder: Path


class Long(NamedTuple):
    """A function that works long: how it is called, and the stages that it shows."""

    call: Callable[..., object]
    stages: tuple[str, ...]


def search_alone(scene: Scene, **options: Any) -> object:
    return dpl_nas.strategy.Random().search(scene.problem, "1-trials", **options)


def search_of_space(scene: Scene, **options: Any) -> object:
    return dpl_nas.strategy.Random().search(
        scene.config.space, scene.task, "1-trials", shots=2, **options
    )


def two_cells(scene: Scene, **options: Any) -> object:
    plan = comparison.Plan((scene.config,))
    return comparison.run_cells(plan, scene.folder, **options)


def compared_candidates(scene: Scene, **options: Any) -> object:
    strategy = scene.config.strategy
    return fit(scene.problem, FitSettings(preset="quick"), strategy, **options)


def a_folder_of_a_fit(scene: Scene, **options: Any) -> object:
    settings = FitSettings(preset="quick")
    return fit_folder(scene.config, scene.task, settings, scene.folder, shots=2, **options)


def a_classifier(scene: Scene, *, quiet: bool = False, observer: Observer | None = None) -> object:
    images = Path(scene.task.folder) / "train"
    classifier = dpl_nas.PromptClassifier(
        preset="quick", shots=2, space=scene.config.space, quiet=quiet
    )
    return classifier.fit(images, observer=observer)


def separated(scene: Scene, **options: Any) -> object:
    return diagnostics.measure_separation(
        scene.config, scene.folder, configurations=2, seeds=2, **options
    )


def ranked(scene: Scene, **options: Any) -> object:
    return diagnostics.rank_proxies(
        scene.config, scene.folder, architectures=3, search_seeds=[3], epochs=1, **options
    )


LONG = {
    "Strategy.search(problem)": Long(search_alone, ("search",)),
    "Strategy.search(space, task)": Long(search_of_space, ("search",)),
    "run": Long(
        lambda scene, **more: dpl_nas.run(scene.config, scene.folder, **more),
        ("search", "train found", "train manual", "evaluate"),
    ),
    "runs.search": Long(
        lambda scene, **more: runs.search(scene.config, scene.folder, **more), ("search",)
    ),
    "runs.train": Long(
        lambda scene, **more: runs.train(
            scene.config, scene.prompts.architecture, scene.folder, **more
        ),
        ("train",),
    ),
    "runs.evaluate": Long(
        lambda scene, **more: runs.evaluate(scene.folder / "prompts.safetensors", **more),
        ("evaluate",),
    ),
    "train": Long(
        lambda scene, **more: dpl_nas.train(scene.prompts.architecture, scene.problem, **more),
        ("train",),
    ),
    "evaluate": Long(
        lambda scene, **more: dpl_nas.evaluate(scene.prompts, scene.task, **more), ("evaluate",)
    ),
    "check_images": Long(lambda scene, **more: tasks.check_images(scene.task, **more), ("check",)),
    "Problem.check": Long(
        lambda scene, **more: scene.problem.having().check(test=True, **more), ("check",)
    ),
    "Problem.check_images": Long(
        lambda scene, **more: scene.problem.having().check_images([0, 1], **more), ("check",)
    ),
    "take_inventories": Long(
        lambda scene, **more: take_inventories(None, [scene.task.folder], **more), ("check",)
    ),
    "run_cells": Long(two_cells, ("compare",)),
    "measure_separation": Long(separated, ("test",)),
    "rank_proxies": Long(ranked, ("search", "test")),
    "fit": Long(compared_candidates, ("compare",)),
    "fit_folder": Long(a_folder_of_a_fit, ("compare", "evaluate")),
    "PromptClassifier.fit": Long(a_classifier, ("compare",)),
}


#: They start processes, or train several supernets.
SLOW = {"run_cells", "rank_proxies"}
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in LONG]


@pytest.fixture(scope="module")
def prompts(image_folder: Path, small_space: Space) -> TrainedPrompts:
    recipe = dpl_nas.load_strategy("manual").train.model_copy(update={"epochs": 1})
    return dpl_nas.train(
        small_space.uniform(2),
        small_space,
        image_folder,
        shots=2,
        settings=recipe,
    )


@pytest.fixture
def scene(
    run_config: RunConfig, prompts: TrainedPrompts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Scene:
    # Everything that would need more than a moment on a real task shows at once on this one.
    monkeypatch.setattr("dpl_nas.tasks.checks.QUIET_SECONDS", 0.0)
    recipe = run_config.strategy.train.model_copy(update={"epochs": 1})
    search = run_config.strategy.search.model_copy(update={"epochs": 1})
    strategy = run_config.strategy.model_copy(update={"train": recipe, "search": search})
    config = run_config.model_copy(update={"strategy": strategy, "shots": 2})
    problem = Problem.of_run(config)
    return Scene(config, load_task(config.task), problem, prompts, tmp_path / "folder")


def prepare(name: str, scene: Scene) -> None:
    if name == "runs.evaluate":
        scene.folder.mkdir()
        scene.prompts.save(scene.folder / "prompts.safetensors")


@pytest.mark.filterwarnings("ignore::dpl_nas.errors.DplWarning")
@pytest.mark.parametrize("name", NAMES)
def test_it_draws_at_a_terminal(
    name: str, scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(name, scene)
    # Rich takes what it writes to for a terminal.
    monkeypatch.setenv("FORCE_COLOR", "1")
    LONG[name].call(scene)
    out, err = capsys.readouterr()
    assert out == ""
    assert CONTROL in err
    for stage in LONG[name].stages:
        assert stage in err
    # One display, which is ended.
    assert err.count("\x1b[?25l") == err.count("\x1b[?25h") == 1


@pytest.mark.filterwarnings("ignore::dpl_nas.errors.DplWarning")
@pytest.mark.parametrize("name", NAMES)
def test_it_is_quiet_on_demand(
    name: str, scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(name, scene)
    monkeypatch.setenv("FORCE_COLOR", "1")
    LONG[name].call(scene, quiet=True)
    assert capsys.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore::dpl_nas.errors.DplWarning")
@pytest.mark.parametrize("name", NAMES)
def test_it_draws_nothing_where_there_is_no_terminal_or_an_observer(
    name: str, scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Heard(Observer):
        def __init__(self) -> None:
            self.stages: list[str] = []

        def begin(self, stage: str, total: int, done: int = 0) -> None:
            self.stages.append(stage)

    prepare(name, scene)
    heard = Heard()
    monkeypatch.setenv("FORCE_COLOR", "1")
    LONG[name].call(scene, observer=heard)
    assert capsys.readouterr() == ("", "")
    assert set(LONG[name].stages) <= set(heard.stages)


def test_what_takes_an_observer_can_be_quiet(public: dict[str, Callable[..., Any]]) -> None:
    with_observer = {
        name: names
        for name, function in public.items()
        if "observer" in (names := set(inspect.signature(function).parameters))
    }
    loud = {name for name, names in with_observer.items() if "quiet" not in names}
    # A parameter of the estimator, as scikit-learn has it.
    loud.remove("PromptClassifier.fit")
    # What a search is made of: nothing is drawn unless an observer is given.
    loud -= {"FewShotTrials.run", "TrialEngine.__init__", "Search.__init__"}
    # What a method is made of: its users call adapt.
    loud -= {f"{kind}Method.learn" for kind in ("", "Feature", "Fitted", "Layered", "Tower")}
    assert not loud
    assert {"train", "evaluate", "run", "measure_separation"} <= set(with_observer)


def test_prediction_of_many_pictures_is_shown(
    scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = Path(scene.task.folder) / "train"
    options: dict[str, Any] = {"preset": "quick", "shots": 2, "space": scene.config.space}
    classifier = dpl_nas.PromptClassifier(**options).fit(images)
    monkeypatch.setenv("FORCE_COLOR", "1")
    classifier.predict(images)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("dpl_nas.classifier.estimator._QUIET_SECONDS", 0.0)
    classifier.predict(images)
    assert Stage.PREDICT in capsys.readouterr().err
    classifier.set_params(quiet=True).predict(images)
    assert capsys.readouterr() == ("", "")


SCRIPT = """
import sys
import dpl_nas
from dpl_nas.strategy import Strategy

class Own(Strategy):
    def explore(self, search):
        print("printed by the work")
        first = search.evaluate([search.space.uniform(0), search.space.uniform(1)])
        # A search within a search does not draw over it.
        dpl_nas.train(first[0].architecture, search.problem)

if __name__ == "__main__":
    space, task, quiet = sys.argv[1], sys.argv[2], sys.argv[3] == "quiet"
    recipe = dpl_nas.load_strategy("manual").train.model_copy(update={"epochs": 1})
    Own().search(space, task, "2-trials", shots=2, train=recipe, jobs=2, quiet=quiet)
    print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["loud", "quiet"])
def test_a_script_at_a_real_terminal(
    kind: str, image_folder: Path, mini_weights: Path, tmp_path: Path
) -> None:
    """What it prints goes to its stdout, here a file; only the first process draws."""
    (tmp_path / "script.py").write_text(SCRIPT)
    space = tmp_path / "tiny.yml"
    towers = "{text: {layers: [0], lengths: [0, 1]}}"
    space.write_text(f"towers: {towers}\nbackbone: {{pretrained: {mini_weights}}}\n")
    terminal, its_end = pty.openpty()
    with (tmp_path / "out.txt").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "script.py"), str(space), str(image_folder), kind],
            stdin=its_end,
            stdout=out,
            stderr=its_end,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "OMP_NUM_THREADS": "1"},
        )
    os.close(its_end)
    drawn = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        drawn += part
    os.close(terminal)
    assert process.wait(timeout=120) == 0, drawn.decode()
    assert (tmp_path / "out.txt").read_text() == "printed by the work\ndone\n"
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn.decode())
    if kind == "quiet":
        assert "search" not in shown
        assert "train" not in shown
        return
    assert "search" in shown
    assert "2/2" in shown
    assert "train" not in shown
    assert drawn.count(b"\x1b[?25l") == drawn.count(b"\x1b[?25h") == 1
