"""What the tests of README and docs make smaller, so that a page runs in seconds.

A reader types the commands as they stand. Here, the packaged strategies have a trial or two of one
epoch, some values of the command line are replaced, embedded tasks have fewer test images, figures
fewer dots and panels, a comparison one task and one process. Nothing else differs.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

__all__ = ["REPOSITORY", "shrink", "shrink_arguments", "write_presets"]

REPOSITORY = Path(__file__).parents[2]

#: Settings of the packaged strategies, where they have them.
SETTINGS: dict[str, Any] = {
    "search": {
        "epochs": 1,
        "portfolio": 2,
        "shortlist": 1,
        "children": 1,
        "population_size": 3,
        "generations": 1,
        "rounds": 1,
    },
    "train": {"epochs": 1},
}

#: Values of options. Several processes, GPUs and downloads are tested elsewhere.
OPTIONS: dict[str, Any] = {
    "--jobs": "1",
    "--device": "cpu",
    "--budget": "8-trials",
    "--seeds": "1",
    "--shots": "4",
    "--space": {"clip_vit_b16": "mini_clip"},
}
#: Strategies of a comparison: the first two.
MOST_STRATEGIES = 2
TEST_IMAGES = 100
DOTS_PER_INCH = 20
#: Panels of a tower in the figure of the alphas.
PANELS = 2
COMMANDS = {"run", "search", "train", "compare", "fit"}


def write_presets(folder: Path) -> None:
    """Write ``strategies/`` and ``search_spaces/`` of the repository, with smaller strategies."""
    shutil.copytree(REPOSITORY / "search_spaces", folder / "search_spaces")
    (folder / "strategies").mkdir()
    for file in (REPOSITORY / "strategies").glob("*.yml"):
        values = yaml.safe_load(file.read_text())
        for room, settings in SETTINGS.items():
            values[room] |= {key: settings[key] for key in settings.keys() & values[room].keys()}
        # A supernet that is stopped early has more epochs than one.
        values["search"].pop("early_stop", None)
        (folder / "strategies" / file.name).write_text(yaml.safe_dump(values, sort_keys=False))


def shrink(presets: Path, put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Let the package in this process take its presets from ``presets``, and train for an epoch."""
    import torch

    from dpl_nas import cells
    from dpl_nas.io import drawing
    from dpl_nas.io import presets as home
    from dpl_nas.process.scheduler import Here
    from dpl_nas.runs import plots
    from dpl_nas.tasks import Task, loading
    from dpl_nas.tasks.views import SomeImages
    from dpl_nas.training.loop import TrainingLoop

    run, load, layers = TrainingLoop.run, loading._load_embedded, plots._layers

    def run_one(loop: TrainingLoop, epochs: int, *others: Any) -> None:
        run(loop, min(epochs, 1), *others)

    @cache
    def load_some(name: str) -> Task:
        task = load(name)
        rows = range(0, len(task.test.labels), max(1, len(task.test.labels) // TEST_IMAGES))
        return replace(task, test=SomeImages(task.test, rows, [task.test.labels[r] for r in rows]))

    put(home, "_folder", lambda collection: presets / collection)
    put(loading, "_load_embedded", load_some)
    put(drawing, "_DOTS_PER_INCH", DOTS_PER_INCH)
    put(plots, "_layers", lambda records, tower: layers(records, tower)[:PANELS])
    put(cells, "Processes", lambda jobs, work, once: Here(work))
    # This takes half of the time of an export.
    put(torch.onnx, "export", partial(torch.onnx.export, optimize=False))
    put(TrainingLoop, "run", run_one)


def shrink_arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments of ``dpl-nas`` that stand for those of a page."""
    kept: list[str] = []
    given = list(arguments)
    while given:
        each = given.pop(0)
        kept.append(each)
        if each in OPTIONS and given:
            value, smaller = given.pop(0), OPTIONS[each]
            kept.append(smaller.get(value, value) if isinstance(smaller, dict) else smaller)
            while each == "--seeds" and given and given[0].isdecimal():
                given.pop(0)
    if not kept or kept[0] not in COMMANDS:
        return kept
    if kept[0] == "compare":
        options = {value for option, value in pairwise(kept) if option.startswith("--")}
        strategies = [each for each in kept if each.endswith(".yml") and each not in options]
        kept = [each for each in kept if each not in strategies[MOST_STRATEGIES:]]
        # The first task is enough.
        while kept.count("--task") > 1:
            place = len(kept) - 1 - kept[::-1].index("--task")
            del kept[place : place + 2]
    if "--shots" not in kept:
        kept += ["--shots", OPTIONS["--shots"]]
    return [*kept, "train.epochs=1"]
