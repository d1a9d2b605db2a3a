import inspect
import json
import pydoc
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import dpl_nas
from dpl_nas import config, runs, tasks
from dpl_nas.config import resolve
from dpl_nas.errors import DplError

REPOSITORY = Path(__file__).parents[1]
IMPORT_SECONDS = 0.3
MEGABYTE = 1 << 20


def python(script: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    ).stdout


@pytest.mark.parametrize(
    "module",
    ["dpl_nas", "dpl_nas.cli", "dpl_nas.comparison", "dpl_nas.config", "dpl_nas.space"],
)
def test_imports_are_light(module: str) -> None:
    loaded = json.loads(
        python(f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))")
    )
    heavy = {"torch", "nni", "matplotlib", "open_clip", "pytorch_lightning", "scipy"}
    if module != "dpl_nas.cli":
        heavy.add("rich")
    assert not heavy & set(loaded)


def test_the_tuner_needs_no_torch() -> None:
    # NNI waits ten seconds for a tuner, also on a busy machine.
    loaded = json.loads(
        python(
            "import json, sys, dpl_nas.experiments.tuner; print(json.dumps(sorted(sys.modules)))"
        )
    )
    assert not {"torch", "matplotlib", "open_clip", "pytorch_lightning"} & set(loaded)


def test_import_is_quick() -> None:
    script = (
        "import time; start = time.process_time(); import dpl_nas; "
        "print(time.process_time() - start)"
    )
    assert min(float(python(script)) for _ in range(3)) < IMPORT_SECONDS


def test_the_public_surface() -> None:
    assert set(dpl_nas.__all__) == {
        "Architecture",
        "PromptClassifier",
        "SearchBudget",
        "Space",
        "Task",
        "__version__",
        "evaluate",
        "load_architecture",
        "load_backbone",
        "load_prompts",
        "load_space",
        "load_strategy",
        "load_task",
        "make_task",
        "run",
        "strategy",
        "train",
    }
    for name in dpl_nas.__all__:
        assert getattr(dpl_nas, name) is not None
    # help(dpl_nas) shows all methods of the classes that dir() has, of which its text tells.
    classes = {"Architecture", "PromptClassifier", "SearchBudget", "Space", "Task"}
    assert set(dir(dpl_nas)) == set(dpl_nas.__all__) - classes
    assert dpl_nas.__doc__ is not None
    assert all(f"``{name}``" in dpl_nas.__doc__ for name in classes)
    # A page or two: what it imports has no place there.
    assert len(pydoc.render_doc(dpl_nas).splitlines()) < 240
    assert dpl_nas.strategy.DARTS.__name__ == "DARTS"
    with pytest.raises(AttributeError, match="module dpl_nas has no attribute nothing"):
        dpl_nas.nothing  # noqa: B018 (reading it is the test)


def test_the_changelog_knows_the_version() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text()
    assert f"[{dpl_nas.__version__}]" in changelog or "[Unreleased]" in changelog


def test_bounds_hold_nni_together() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert {"nni==3.0", "setuptools<81"} <= set(project["dependencies"])


def test_the_wheel(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            *("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)),
            str(REPOSITORY),
        ],
        capture_output=True,
        timeout=300,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(name for name in names if name.endswith("dist-info/METADATA"))
        text = archive.read(metadata).decode()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"dpl_nas"}
    carried = {
        "dpl_nas/py.typed",
        "dpl_nas/experiments/loopback.cjs",
        "dpl_nas/classifier/templates/report.html.j2",
        "dpl_nas/comparison/templates/report.html.j2",
        *(f"dpl_nas/search_spaces/{p.name}" for p in (REPOSITORY / "search_spaces").iterdir()),
        *(f"dpl_nas/strategies/{p.name}" for p in (REPOSITORY / "strategies").iterdir()),
        *(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "dpl_nas").rglob("*.py")),
        # The packed pictures, with the licences of all of them.
        *(
            str(path.relative_to(REPOSITORY))
            for path in (REPOSITORY / "dpl_nas" / "gallery").rglob("*")
            if path.suffix in {".json", ".md", ".txt", ".zip"}
        ),
        # The tokenizer and tasks of the embedded language model, with their licence.
        *(
            str(path.relative_to(REPOSITORY))
            for path in (REPOSITORY / "dpl_nas" / "glosses").rglob("*")
            if path.suffix in {".gz", ".json", ".txt"}
        ),
        # The weights of the embedded models.
        *(
            str(path.relative_to(REPOSITORY))
            for path in (REPOSITORY / "dpl_nas").rglob("*.safetensors")
        ),
    }
    assert carried <= names
    assert f"Version: {dpl_nas.__version__}" in text
    assert "License-Expression: Apache-2.0 AND MIT AND CC-BY-4.0" in text
    assert wheel.stat().st_size < 30 * MEGABYTE


def test_names_and_paths_as_text(image_folder: Path, mini_weights: Path, tmp_path: Path) -> None:
    text = "towers: {text: {layers: [0], lengths: [0, 1]}}\n"
    file = tmp_path / "tiny.yml"
    file.write_text(f"{text}backbone: {{pretrained: {mini_weights}}}\n")
    space, task, folder = str(file), str(image_folder), str(tmp_path / "search")
    quick = dpl_nas.load_strategy("manual").train.model_copy(update={"epochs": 1})
    found = dpl_nas.strategy.Random().search(
        space, task, "1-trials", shots=2, train=quick, folder=folder
    )
    assert (tmp_path / "search" / "ledger.jsonl").exists()
    design = str(tmp_path / "architecture.json")
    found.architecture.save(design)
    prompts = dpl_nas.train(
        design, space, task, shots=2, settings=quick, state=str(tmp_path / "train.state")
    )
    prompts.save(str(tmp_path / "prompts.safetensors"))
    metrics = dpl_nas.evaluate(str(tmp_path / "prompts.safetensors"), task)
    assert metrics == dpl_nas.evaluate(prompts, dpl_nas.load_task(task))
    assert dpl_nas.load_prompts(str(tmp_path)).architecture == found.architecture

    from dpl_nas.config import resolve

    config = resolve(task, space, "random", ["strategy.budget.trials=1"], shots=2)
    config = config.model_copy(
        update={"strategy": config.strategy.model_copy(update={"train": quick})}
    )
    assert dpl_nas.run(config, str(tmp_path / "run")).task == task


def test_values_are_shown_in_a_line(image_folder: Path) -> None:
    space, task = dpl_nas.load_space("mini_clip_budget12"), dpl_nas.load_task(image_folder)
    assert repr(dpl_nas.strategy.DARTS(epochs=3)) == "DARTS(epochs=3)"
    assert repr(dpl_nas.strategy.Random()) == "Random()"
    assert repr(dpl_nas.strategy.DARTS(alphas={"lr": 0.5})) == "DARTS(alphas={'lr': 0.5})"
    assert repr(space).startswith("Space('mini_clip_budget12', image: 12 layers, text: 12 layers")
    assert repr(task).endswith("3 classes, 30 training images, 60 test images)")
    assert repr(space.uniform(0)).startswith("Architecture('mini_clip_budget12', image 0 0 0")
    assert max(map(len, map(repr, (space, task, space.uniform(0))))) < 160


MISUSE: dict[str, tuple[Callable[[], object], str]] = {
    "train": (lambda: dpl_nas.train(None, "mini_clip", "mini/digits"), "train: architecture"),  # type: ignore[call-overload]
    "evaluate": (lambda: dpl_nas.evaluate(None, "mini/digits"), "evaluate: prompts should be"),  # type: ignore[arg-type]
    "device": (
        lambda: dpl_nas.evaluate("x", "mini/digits", device=None),  # type: ignore[arg-type]
        "evaluate: device should be a text, found None",
    ),
    "run": (lambda: dpl_nas.run(None, "x"), "run: config should be a RunConfig, found None"),  # type: ignore[arg-type]
    "folder": (
        lambda: dpl_nas.run(resolve("mini/digits", "mini_clip", "random"), ""),
        "run: folder should be a text or a path, found ''",
    ),
    "load_space": (lambda: dpl_nas.load_space(3), "load_space: name_or_path should be"),  # type: ignore[arg-type]
    "load_task": (lambda: dpl_nas.load_task(3.5), "load_task: name_or_path should be"),  # type: ignore[arg-type]
    "load_architecture": (lambda: dpl_nas.load_architecture(None), "load_architecture: path"),  # type: ignore[arg-type]
    "load_backbone": (lambda: dpl_nas.load_backbone(None), "load_backbone: config should be"),  # type: ignore[arg-type]
    "load_prompts": (lambda: dpl_nas.load_prompts(None), "load_prompts: path should be"),  # type: ignore[arg-type]
    "load_strategy": (lambda: dpl_nas.load_strategy(None), "load_strategy: name_or_path"),  # type: ignore[arg-type]
    "SearchBudget": (dpl_nas.SearchBudget, "expected at least one of trials, steps and seconds"),
    "Space": (dpl_nas.Space, "Space: name: field required"),  # type: ignore[call-arg]
    "Architecture": (dpl_nas.Architecture, "Architecture: space: field required"),  # type: ignore[call-arg]
    "DARTS": (lambda: dpl_nas.strategy.DARTS(3), "DARTS takes settings by name"),
    "Random": (lambda: dpl_nas.strategy.Random(3), "Random takes settings by name"),
    "from_nni": (lambda: dpl_nas.strategy.from_nni(3), "from_nni: strategy should be a Strategy"),  # type: ignore[arg-type]
    "shots": (
        lambda: dpl_nas.strategy.Random().search("mini_clip", "mini/digits", shots=1.5),  # type: ignore[call-overload]
        "search: shots should be a whole number, found 1.5",
    ),
    "seed": (
        lambda: dpl_nas.strategy.Random().search("mini_clip", "mini/digits", seed=-1),
        "seed should be a whole number of 0 or more, found -1",
    ),
    "observer": (
        lambda: dpl_nas.strategy.Random().search("mini_clip", "mini/digits", observer=3),  # type: ignore[call-overload]
        "search: observer should be an Observer or None, found 3",
    ),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse_is_one_sentence(name: str) -> None:
    misuse, sentence = MISUSE[name]
    with pytest.raises(DplError) as caught:
        misuse()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_public_function_is_checked() -> None:
    """Their arguments are asked for what annotations say."""
    functions = [getattr(dpl_nas, name) for name in dpl_nas.__all__]
    functions += [dpl_nas.strategy.from_nni, dpl_nas.strategy.make_strategy]
    functions += [getattr(room, name) for room in (config, runs, tasks) for name in room.__all__]
    unchecked = [
        each.__name__
        for each in functions
        if inspect.isfunction(each)
        and inspect.signature(each).parameters
        and not hasattr(each, "__wrapped__")
    ]
    assert unchecked == []
