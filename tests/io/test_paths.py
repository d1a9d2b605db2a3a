"""Every public function takes a path as a text, as a Path, and as whatever else is a path."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from PIL import Image

import dpl_nas
from dpl_nas import bench, comparison, diagnostics, engine, methods, runs, testing
from dpl_nas.classifier.export import export
from dpl_nas.classifier.fitting import FitSettings, fit
from dpl_nas.classifier.folder import fit_folder, known_of, result_in, write_page
from dpl_nas.classifier.held import Held
from dpl_nas.classifier.saved import SavedClassifier
from dpl_nas.config import RunConfig, resolve
from dpl_nas.engine import Cost, FewShotTrials, Ledger, TrialEngine, TrialSettings
from dpl_nas.errors import ConfigError, TaskError
from dpl_nas.io.arguments import checked
from dpl_nas.io.paths import AnyPath
from dpl_nas.nni.named_space import NamedPromptSpace
from dpl_nas.space import BackboneConfig, Space, choices_of, space_problems
from dpl_nas.strategy import make_strategy
from dpl_nas.tasks.inventory import take_inventories
from dpl_nas.training import Problem, TrainedPrompts


class Place:
    """A path of another library's."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return str(self._path)


KINDS: dict[str, Callable[[Path], AnyPath]] = {"text": str, "Path": Path, "PathLike": Place}


class Files(NamedTuple):
    """Files that functions read, and the folder that they write to."""

    space: Path
    strategy: Path
    images: Path
    architecture: Path
    run: Path
    classifier: Path
    cells: Path
    ledger: Path
    out: Path
    config: RunConfig
    problem: Problem
    prompts: TrainedPrompts
    fitted: dpl_nas.PromptClassifier

    @property
    def recipe(self) -> Any:
        return self.config.strategy.train


#: From kind of path and files to whether all went well.
Use = Callable[[Callable[[Path], AnyPath], Files], object]


def learned_of(files: Files) -> methods.Learned:
    return methods.make_method("zero-shot").adapt(files.problem)


def searched(of: Callable[[Path], AnyPath], files: Files) -> bool:
    """Space, task and folder are paths."""
    dpl_nas.strategy.Random().search(
        of(files.space), of(files.images), "1-trials", shots=2, train=files.recipe,
        folder=of(files.out),
    )  # fmt: skip
    return (files.out / "ledger.jsonl").exists()


def a_trial(of: Callable[[Path], AnyPath], files: Files) -> bool:
    trials = FewShotTrials(TrialSettings(files.problem, files.config.strategy.search))
    trials.run(files.prompts.architecture, 1, of(files.out / "state"))
    return (files.out / "state").exists()


def an_engine(of: Callable[[Path], AnyPath], files: Files) -> bool:
    settings = TrialSettings(files.problem, files.config.strategy.search)
    with TrialEngine(settings, None, folder=of(files.out)):
        return (files.out / "ledger.jsonl").exists()


def a_ledger(of: Callable[[Path], AnyPath], files: Files) -> bool:
    with Ledger(of(files.out / "ledger.jsonl"), {"a": 1}):
        return (files.out / "ledger.jsonl").exists()


def a_report(of: Callable[[Path], AnyPath], files: Files) -> bool:
    comparison.write_report(comparison.read_cells(files.cells), of(files.out))
    return (files.out / "report.html").exists()


def an_adaptation(of: Callable[[Path], AnyPath], files: Files) -> bool:
    recipe = files.recipe.model_dump(mode="json")
    method = methods.make_method("vpt-shallow", recipe=recipe)
    method.adapt(files.problem, state=of(files.out / "state"))
    return (files.out / "state").exists()


def a_bench(of: Callable[[Path], AnyPath], files: Files) -> bool:
    plan = bench.BenchPlan(
        tasks=[of(files.images)], methods=["zero-shot"], seeds=[1], shots=[2],
        space=files.problem.space,
    )  # fmt: skip
    # Its process does not know the small model, and says so.
    (cell,) = bench.run_bench(plan, of(files.out))
    return cell.error is not None and (files.out / "bench.json").exists()


def tables_of_a_bench(of: Callable[[Path], AnyPath], files: Files) -> bool:
    cell = bench.BenchCell(
        protocol="few-shot", method="coop", task="a", shots=1, seed=1, accuracy={"all": 0.5}
    )
    bench.write_bench([cell], of(files.out))
    return (files.out / "results.md").exists()


def an_exported_file(of: Callable[[Path], AnyPath], files: Files) -> bool:
    saved = SavedClassifier.load(files.classifier)
    pictures = [Image.open(path).convert("RGB") for path in sorted(files.images.rglob("*.png"))]
    classifier = saved.classifier(files.problem.backbone)
    export(classifier, saved.metadata, of(files.out / "it.pt2"), "pt2", pictures[:7])
    return (files.out / "it.pt2").exists()


def a_fit(of: Callable[[Path], AnyPath], files: Files) -> bool:
    settings = FitSettings(preset="quick")
    found = fit(files.problem, settings, files.config.strategy, of(files.out))
    return bool(found.evidence) and any(files.out.iterdir())


def a_fit_in_a_folder(of: Callable[[Path], AnyPath], files: Files) -> bool:
    task = dpl_nas.load_task(files.images)
    settings = FitSettings(preset="quick")
    fit_folder(files.config, task, settings, of(files.out / "new"), shots=2)
    return (files.out / "new" / "report.html").exists()


def a_classifier(of: Callable[[Path], AnyPath], files: Files) -> bool:
    """Space, strategy, folder and the pictures are paths."""
    made = dpl_nas.PromptClassifier(
        preset="quick", shots=2, space=of(files.space), strategy=of(files.strategy),
        folder=of(files.out),
    )  # fmt: skip
    made.fit(of(files.images / "train"))
    picture = next((files.images / "test").rglob("*.png"))
    assert len(made.predict([of(picture)])) == 1
    return len(made.predict(of(picture))) == 1 and any(files.out.iterdir())


def a_classifier_of_the_hub(of: Callable[[Path], AnyPath], files: Files) -> bool:
    files.fitted.save_pretrained(of(files.out / "saved"))
    loaded = dpl_nas.PromptClassifier.from_pretrained(of(files.out / "saved"))
    pictures = sorted((files.images / "test").rglob("*.png"))[:4]
    np.testing.assert_array_equal(loaded.predict(pictures), files.fitted.predict(pictures))
    return True


def resolved(of: Callable[[Path], AnyPath], files: Files) -> bool:
    config = resolve(of(files.images), of(files.space), of(files.strategy), data=of(files.out))
    return (config.task, config.data) == (str(files.images), str(files.out))


def a_run(of: Callable[[Path], AnyPath], files: Files) -> bool:
    return dpl_nas.run(files.config, of(files.out)).task == files.config.task


def all_tables(of: Callable[[Path], AnyPath], files: Files) -> bool:
    cells = comparison.read_cells(of(files.cells))
    comparison.write_cells(of(files.out / "cells.json"), cells)
    return comparison.read_cells(files.out / "cells.json") == cells


#: Of methods.
METHOD_KINDS = ("", "Feature", "Fitted", "Layered", "Tower")
USES: dict[str, Use] = {
    "Architecture.save": lambda of, files: (
        files.prompts.architecture.save(of(files.out / "a.json")),
        dpl_nas.load_architecture(files.out / "a.json"),
    ),
    "PromptClassifier.__init__": a_classifier,
    "PromptClassifier.from_pretrained": a_classifier_of_the_hub,
    "PromptClassifier.save_pretrained": a_classifier_of_the_hub,
    "evaluate": lambda of, files: dpl_nas.evaluate(of(files.run), of(files.images)).images,
    "load_architecture": lambda of, files: dpl_nas.load_architecture(of(files.architecture)),
    "load_prompts": lambda of, files: dpl_nas.load_prompts(of(files.run)),
    "load_space": lambda of, files: dpl_nas.load_space(of(files.space)).size > 1,
    "load_strategy": lambda of, files: dpl_nas.load_strategy(of(files.strategy)),
    "load_task": lambda of, files: dpl_nas.load_task(of(files.images), of(files.out)),
    "run": a_run,
    "train": lambda of, files: (
        dpl_nas.train(
            of(files.architecture), of(files.space), of(files.images), shots=2,
            settings=files.recipe, state=of(files.out / "state"),
        ),
        (files.out / "state").stat(),
    ),
    "fit": a_fit,
    "fit_folder": a_fit_in_a_folder,
    "write_page": lambda of, files: write_page(of(files.classifier)).exists(),
    "known_of": lambda of, files: known_of(of(files.classifier)),
    "result_in": lambda of, files: result_in(of(files.classifier)),
    "Held.load": lambda of, files: Held.load(of(files.classifier)),
    "Held.save": lambda of, files: (
        Held.load(files.classifier).save(of(files.out)),
        Held.load(files.out),
    ),
    "SavedClassifier.load": lambda of, files: SavedClassifier.load(of(files.classifier)),
    "SavedClassifier.save": lambda of, files: (
        files.fitted.saved_.save(of(files.out)),
        SavedClassifier.load(files.out),
    ),
    "export": an_exported_file,
    "read_cells": all_tables,
    "write_cells": all_tables,
    "run_cells": lambda of, files: comparison.run_cells(
        comparison.Plan((files.config,)), of(files.out)
    ),
    "write_report": a_report,
    "resolve": resolved,
    "measure_separation": lambda of, files: (
        diagnostics.measure_separation(files.config, of(files.out), configurations=2, seeds=2),
        (files.out / "separation.json").stat(),
    ),
    "rank_proxies": lambda of, files: (
        diagnostics.rank_proxies(
            files.config, of(files.out), architectures=3, search_seeds=[3], epochs=1
        ),
        (files.out / "ranking.json").stat(),
    ),
    "FewShotTrials.run": a_trial,
    "Ledger.__init__": a_ledger,
    "TrialEngine.__init__": an_engine,
    "read_ledger": lambda of, files: engine.read_ledger(of(files.ledger)) is not None,
    "NamedPromptSpace.__init__": lambda of, files: NamedPromptSpace(of(files.space)).clip,
    "runs.evaluate": lambda of, files: runs.evaluate(
        of(files.run), of(files.images), data=of(files.out)
    ).test["found"].images,
    "search": lambda of, files: (
        runs.search(files.config, of(files.out / "run")),
        (files.out / "run" / "search.json").stat(),
    ),
    "runs.train": lambda of, files: (
        runs.train(files.config, of(files.architecture), of(files.out / "run")),
        (files.out / "run" / "prompts.safetensors").stat(),
    ),
    "choices_of": lambda of, files: choices_of(of(files.space)),
    "space_problems": lambda of, files: space_problems(of(files.space)) == [],
    "make_strategy": lambda of, files: make_strategy(of(files.strategy)),
    "Strategy.search": searched,
    "take_inventories": lambda of, files: take_inventories(of(files.out), [of(files.images)])[
        0
    ].usable,
    "StrategyConformance.search": lambda of, files: Own().search(
        testing.Bench(files.problem.task, files.problem.backbone), of(files.out),
        space=files.problem.space, budget="1-trials", shots=2, train=files.recipe,
    ),
    "ledger_of": lambda of, files: testing.ledger_of(of(files.ledger.parent)) is not None,
    "task_of": lambda of, files: testing.task_of(of(files.out / "squares"), 2).class_names,
    "Problem.of": lambda of, files: Problem.of(of(files.space), of(files.images), shots=2),
    "TrainedPrompts.save": lambda of, files: (
        files.prompts.save(of(files.out / "a.safetensors")),
        dpl_nas.load_prompts(files.out / "a.safetensors"),
    ),
    **{f"{kind}Method.adapt": an_adaptation for kind in METHOD_KINDS},
    "run_bench": a_bench,
    "write_bench": tables_of_a_bench,
    "save_learned": lambda of, files: (
        methods.save_learned(learned_of(files), of(files.out / "b.safetensors")),
        methods.load_learned(files.out / "b.safetensors"),
    ),
    "load_learned": lambda of, files: (
        methods.save_learned(learned_of(files), files.out / "b.safetensors"),
        methods.load_learned(of(files.out / "b.safetensors")),
    ),
    # Values that name files.
    "RunConfig": lambda of, files: RunConfig.model_validate(
        {**files.config.model_dump(mode="json"), "task": of(files.images), "data": of(files.out)}
    ).task == str(files.images),
    "BackboneConfig": lambda of, files: BackboneConfig(
        pretrained=of(files.architecture)  # type: ignore[arg-type]
    ).pretrained == str(files.architecture),
}  # fmt: skip
#: They start processes, or train several supernets.
#: Of what takes a second or more, only the kind that is hardest to take is not marked slow.
SLOW = {"PromptClassifier.__init__", "export", "fit", "fit_folder", "run"}
HARDEST = "PathLike"
#: What starts processes, or trains several supernets, is slow with each kind.
STARTING = {"rank_proxies", "run_bench", "run_cells"}
#: What takes paths as options, or as fields, or whose constructor NNI wraps.
BY_OPTION = {"Strategy.search", "RunConfig", "BackboneConfig", "NamedPromptSpace.__init__"}


def is_slow(name: str, kind: str) -> bool:
    return name in STARTING or (name in SLOW and kind != HARDEST)


class Own(testing.StrategyConformance):
    def make(self, **settings: Any) -> dpl_nas.strategy.Strategy:
        return dpl_nas.strategy.Random(**settings)


@pytest.fixture(scope="module")
def made(
    small_space: Space, image_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Files of all kinds that functions read."""
    place = tmp_path_factory.mktemp("files")
    space = place / "own.yml"
    space.write_text(json.dumps(small_space.model_dump(mode="json", exclude={"name"})))
    strategy = place / "quick.yml"
    strategy.write_text(
        "strategy: darts\nsearch: {epochs: 1, batch_size: 6}\ntrain: {epochs: 1, batch_size: 6}\n"
    )
    config = resolve(image_folder, space, strategy, shots=2)
    problem = Problem.of_run(config)
    prompts = dpl_nas.train(config.space.uniform(2), problem)
    run = place / "run"
    run.mkdir()
    prompts.save(run / "prompts.safetensors")
    prompts.architecture.save(place / "architecture.json")
    task = dpl_nas.load_task(image_folder)
    fit_folder(config, task, FitSettings(preset="quick"), place / "classifier", shots=2)
    fitted = dpl_nas.PromptClassifier.from_pretrained(place / "classifier")
    cells = [
        comparison.Cell("t", "s", name, seed, 2, {"text": [1]}, 1, 0.5, 0.5)
        for name in ("a", "b")
        for seed in (1, 2)
    ]  # fmt: skip
    comparison.write_cells(place / "cells.json", cells)
    with Ledger(place / "ledger.jsonl", {}) as ledger:
        ledger.append({"kind": "none", "cost": Cost().steps})
    return {
        "space": space,
        "strategy": strategy,
        "images": image_folder,
        "architecture": place / "architecture.json",
        "run": run,
        "classifier": place / "classifier",
        "cells": place / "cells.json",
        "ledger": place / "ledger.jsonl",
        "config": config,
        "problem": problem,
        "prompts": prompts,
        "fitted": fitted,
    }


@pytest.mark.filterwarnings("ignore::dpl_nas.errors.DplWarning")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, marks=[pytest.mark.slow] * is_slow(name, kind))
        for name in USES
        for kind in KINDS
    ],
)
def test_every_kind_of_path(name: str, kind: str, made: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with torch.random.fork_rng(devices=[]):
        assert USES[name](KINDS[kind], Files(**made, out=out)) not in (None, False, 0)
    # An object whose text is no path leaves nothing elsewhere.
    assert not list(Path.cwd().glob("<*"))


def is_path(hint: Any) -> bool:
    return get_origin(hint) is os.PathLike or any(map(is_path, get_args(hint)))


def test_all_functions_that_take_paths_are_tested(public: dict[str, Callable[..., Any]]) -> None:
    named = set()
    for name, function in public.items():
        try:
            hints = get_type_hints(function)
        except NameError:  # a type that is imported for annotations only, and is no path
            continue
        hints.pop("return", None)
        if any(map(is_path, hints.values())):
            named.add(name)
    assert named <= set(USES)
    assert set(USES) - named <= BY_OPTION


def test_no_public_function_asks_for_a_path_object(public: dict[str, Callable[..., Any]]) -> None:
    found = {
        f"{name}: {argument}"
        for name, function in public.items()
        for argument, hint in getattr(function, "__annotations__", {}).items()
        if argument not in {"return", "tmp_path"} and "Path" in str(hint).split(" | ")
    }
    # Values that are made here, not by users.
    made = {f"{kind}Method.learn: state" for kind in METHOD_KINDS}
    assert found <= {"Search.__init__: folder", "Whole.__init__: folder", *made}


class Bytes:
    def __fspath__(self) -> bytes:
        return b"x"


def test_what_a_function_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")

    @checked(TaskError)
    def read(path: AnyPath, other: AnyPath | None = None) -> tuple[Any, Any]:
        return path, other

    assert read(Place(Path("a")), "b") == (Path("a"), "b")
    assert read(Place(Path("~/a")), Path("~/b")) == (Path("/home/me/a"), Path("/home/me/b"))
    for nothing in ("", 3, b"x"):
        with pytest.raises(TaskError, match="path should be a text or a path, found"):
            read(nothing)  # type: ignore[arg-type]
    with pytest.raises(TaskError, match="path should be a path, whose text is not empty"):
        read(Bytes())  # type: ignore[arg-type]


def test_a_configuration_keeps_texts() -> None:
    config = BackboneConfig(pretrained=Path("a/b"))  # type: ignore[arg-type]
    assert config.pretrained == str(Path("a/b"))
    with pytest.raises(ConfigError):
        BackboneConfig(pretrained=3)  # type: ignore[arg-type]
