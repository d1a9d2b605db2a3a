"""Real runs of the embedded CLIP with random weights, a process each."""

import json
from pathlib import Path

import pytest

from dpl_nas.comparison import Cell, Plan, run_cells, runner
from dpl_nas.config import MethodConfig, RunConfig
from dpl_nas.errors import CheckpointError, ComparisonError, OutputError, TaskError
from dpl_nas.io.files import read_json, write_json
from dpl_nas.methods import make_method, problem_of_run, with_towers_of
from dpl_nas.training.evaluation import score


def config(
    weights: Path, images: Path, strategy: str, seed: int = 1, **search: object
) -> RunConfig:
    return RunConfig.model_validate(
        {
            "task": str(images),
            "space": {
                "name": "two",
                "backbone": {"model": "mini-clip", "pretrained": str(weights)},
                "towers": {
                    "image": {"layers": [10, 11], "lengths": "0-2"},
                    "text": {"layers": [11], "lengths": "0-2"},
                },
                "max_context_vectors": 3,
            },
            "strategy": {
                "name": strategy,
                "strategy": strategy,
                "search": search,
                "train": {"epochs": 1, "batch_size": 6},
            },
            "budget": {"trials": 2},
            "shots": 4,
            "seed": seed,
        }
    )


def without_times(cell: Cell) -> dict[str, object]:
    kept = cell.to_json()
    for name in ("seconds", "peak_bytes"):
        kept.pop(name)
    kept["curve"] = [[step, best] for step, _, best in kept["curve"]]
    return kept


@pytest.mark.slow
def test_cells_are_run_once_and_failures_again(
    mini_weights: Path, image_folder: Path, tmp_path: Path
) -> None:
    good = config(mini_weights, image_folder, "random")
    # An epoch of this supernet is beyond the budget of two trials.
    bad = config(mini_weights, image_folder, "darts", epochs=1, batch_size=1)
    folder = tmp_path / "out"
    cells = run_cells(Plan((good, bad)), folder, jobs=2)
    assert [(cell.strategy, cell.reference) for cell in cells] == [
        ("random", False),
        ("darts", False),
        ("zero-shot", True),
        ("4 everywhere", True),
    ]
    random, darts, zero_shot, everywhere = cells
    assert random.evaluations == 2
    assert random.vectors <= 3
    assert random.steps == 2 * 1  # 6 training images in one batch
    assert random.curve[-1][2] == random.validation_accuracy
    assert "an epoch of the supernet takes" in str(darts.error)
    assert zero_shot.vectors == 0
    # The references show what the budget costs: 2 at each of 3 layers is beyond it.
    assert everywhere.vectors == 6
    kept = folder / "runs"
    stamps = {path: path.stat().st_mtime_ns for path in kept.rglob("cell.json")}
    assert len(stamps) == 1
    again = run_cells(Plan((good, bad)), folder, jobs=1)
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("cell.json")} == stamps
    assert [without_times(cell) for cell in again] == [without_times(cell) for cell in cells]
    assert len(json.loads((folder / "cells.json").read_text())) == 4
    # Files that are lost come back; those that are damaged are named.
    (folder / "cells.json").unlink()
    run_cells(Plan((good, bad)), folder)
    assert len(json.loads((folder / "cells.json").read_text())) == 4
    (file,) = stamps
    whole = read_json(file)
    for damaged, complaint in (
        ([], "has no checksum .*: remove it to run the cell again"),
        ({"config": whole["config"]}, "not a cell of a comparison: remove it"),
        ({**whole, "cell": {**whole["cell"], "seed": 9}}, "belongs to another cell: remove it"),
        ({**whole, "cell": {**whole["cell"], "seconds": -1}}, "remove it to run the cell again"),
    ):
        write_json(file, damaged)
        with pytest.raises(CheckpointError, match=complaint) as error:
            run_cells(Plan((good,)), folder)
        assert str(file) in str(error.value)
    write_json(file, whole)
    other = good.model_copy(
        update={"shots": 4, "evaluate": good.evaluate.model_copy(update={"batch_size": 7})}
    )
    with pytest.raises(OutputError, match="with other settings"):
        run_cells(Plan((other,)), folder)


def test_nothing_is_asked_for_twice(mini_weights: Path, image_folder: Path) -> None:
    one = config(mini_weights, image_folder, "random")
    with pytest.raises(ComparisonError, match="two cells would have the folder"):
        Plan((one, one))


def test_a_task_that_all_cells_would_fail_on_is_told_at_once(
    mini_weights: Path, image_folder: Path, tmp_path: Path
) -> None:
    one = config(mini_weights, image_folder, "random").model_copy(update={"shots": 1000})
    with pytest.raises(TaskError, match="ask for fewer"):
        run_cells(Plan((one,)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_told_apart(mini_weights: Path, image_folder: Path) -> None:
    one = config(mini_weights, image_folder, "random")
    strategy = one.strategy.model_copy(update={"name": "4 everywhere"})
    with pytest.raises(ComparisonError, match="4 everywhere is the name of a reference"):
        Plan((one.model_copy(update={"strategy": strategy}),))
    with pytest.raises(ComparisonError, match=r"baseline nope .* random, zero-shot, 4 everywhere"):
        Plan((one,), baseline="nope")
    Plan((one,), baseline="zero-shot")


def test_somebody_elses_folder_is_left_alone(
    mini_weights: Path, image_folder: Path, tmp_path: Path
) -> None:
    for name in ("plan.json", "cells.json", "report.html"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match="is neither empty nor the folder of a comparison"):
        run_cells(Plan((config(mini_weights, image_folder, "random"),)), tmp_path)
    assert {each.read_text() for each in tmp_path.iterdir()} == {"mine"}


KILLING = """
import os
from pathlib import Path
from dpl_nas.strategy import Strategy
class Killed(Strategy):
    def explore(self, search):
        mark = Path(os.environ["MARK"])
        if not mark.exists() or os.environ.get("ALWAYS"):
            mark.touch()
            os.kill(os.getpid(), 9)
        search.evaluate([search.space.uniform(1)])
"""


@pytest.mark.slow
@pytest.mark.parametrize("always", [False, True])
def test_a_cell_whose_process_is_killed_is_tried_once_more(
    mini_weights: Path,
    image_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    always: bool,
) -> None:
    (tmp_path / "killing.py").write_text(KILLING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MARK", str(tmp_path / "mark"))
    if always:
        monkeypatch.setenv("ALWAYS", "1")
    one = config(mini_weights, image_folder, "random")
    killed = one.strategy.model_dump(mode="json") | {
        "name": "killed",
        "strategy": "killing:Killed",
    }
    two = RunConfig.model_validate({**one.model_dump(mode="json"), "strategy": killed})
    cells = run_cells(Plan((two, one)), tmp_path / "out", jobs=2)
    assert [cell.complete for cell in cells] == [not always, True, True, True]
    if always:
        assert cells[0].error == "its process ended twice without a result"


@pytest.mark.slow
def test_a_cell_is_a_method_and_a_strategy(
    mini_weights: Path, image_folder: Path, tmp_path: Path
) -> None:
    plain = config(mini_weights, image_folder, "random")
    by_method = {
        name: with_towers_of(plain.model_copy(update={"method": MethodConfig(name=name)}))
        for name in ("maple", "clip-lora")
    }
    plan = Plan((plain, *by_method.values()))
    cells = run_cells(plan, tmp_path / "out", jobs=2, quiet=True)
    assert [cell.error for cell in cells] == [None] * 9
    assert [cell.strategy for cell in cells] == [
        "random",
        "maple: random",
        "clip-lora: random",
        "zero-shot",
        "4 everywhere",
        "maple: 4 everywhere",
        "maple: as published",
        "clip-lora: 4 everywhere",
        "clip-lora: as published",
    ]
    found = {cell.strategy: cell for cell in cells}
    assert list(found["maple: random"].lengths) == ["text"]
    assert found["maple: 4 everywhere"].lengths == {"text": (2,)}
    # The paper's 9 layers are not those that this space searches.
    assert found["maple: as published"].lengths == {"text": (0,)}
    assert found["clip-lora: as published"].lengths == {"image": (2, 2), "text": (2,)}
    problem = problem_of_run(by_method["clip-lora"])
    method = make_method("clip-lora", recipe="problem")
    scorer = method.adapt(problem, quiet=True).scorer(problem.backbone, problem.task)
    expected = score({"it": scorer}, problem.task.test, problem.backbone)["it"]
    assert found["clip-lora: as published"].test_accuracy == expected.accuracy
    again = run_cells(plan, tmp_path / "out", quiet=True)
    assert [without_times(cell) for cell in again] == [without_times(cell) for cell in cells]


def test_zero_shot_is_the_same_cell_whichever_method_is_first(
    mini_weights: Path, image_folder: Path, tmp_path: Path
) -> None:
    plain = config(mini_weights, image_folder, "random")
    maple = with_towers_of(plain.model_copy(update={"method": MethodConfig(name="maple")}))

    def zero_shot(*configs: RunConfig) -> tuple[Path, dict[str, object]]:
        jobs = runner._jobs(Plan(configs), tmp_path, ["digest"] * len(configs))
        (job,) = [job for job in jobs if job.name == "zero-shot"]
        return job.folder, dict(job.identity())

    assert zero_shot(plain, maple) == zero_shot(maple, plain) == zero_shot(maple)
