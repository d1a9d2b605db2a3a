"""Cells run, are kept, and go on; files that are something else stay as they are."""

import json
from pathlib import Path
from typing import Any

import pytest

from dpl_nas.bench import BenchCell, BenchPlan, run_bench, runner, write_bench
from dpl_nas.config import TrainSettings
from dpl_nas.errors import (
    BenchError,
    CheckpointError,
    ConfigError,
    OutputError,
    StrategyError,
    TaskError,
)
from dpl_nas.methods import make_method
from dpl_nas.process.scheduler import Here
from dpl_nas.space import Space
from dpl_nas.training.evaluation import score, zero_shot
from dpl_nas.training.problem import Problem


def plan_of(small_space: Space, images: Path, **values: Any) -> BenchPlan:
    return BenchPlan(
        **{
            "tasks": (str(images),),
            "methods": ("zero-shot", "linear-probe", "ivlp"),
            "shots": (2,),
            "seeds": (1,),
            "recipe": "problem",
            "train": {"epochs": 1, "batch_size": 6},
            "space": small_space,
            **values,
        }
    )


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells run in this process, where the small model is known."""
    monkeypatch.setattr("dpl_nas.cells.Processes", lambda jobs, work, once: Here(work))


def test_every_method_is_tested_on_the_same_images(
    small_space: Space, image_folder: Path, tmp_path: Path
) -> None:
    plan = plan_of(small_space, image_folder)
    cells = run_bench(plan, tmp_path / "out", quiet=True)
    assert [cell.method for cell in cells] == list(plan.methods)
    assert not [cell.error for cell in cells if cell.error]
    problem = Problem.of(small_space, str(image_folder), shots=2, seed=1, recipe=plan.train)
    expected = problem.task.test
    plain = zero_shot(problem.task, problem.backbone)
    right = 0
    for row, label in enumerate(expected.labels):
        image = problem.backbone.preprocess(expected.image(row))
        right += int(plain.predict(image[None])[0]) == label
    assert cells[0].accuracy == {"all": pytest.approx(right / len(expected.labels))}
    assert cells[0].parameters == 0
    # Two layers of the text tower and three of the image tower have 4 tokens.
    assert cells[2].parameters == 4 * (3 * 32 + 2 * 16)
    assert cells[2].peak_bytes > 0
    assert not (tmp_path / "out" / plan.jobs()[2].place / "training.state").exists()


def test_kept_cells_are_not_run_again(
    small_space: Space, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(small_space, image_folder)
    first = run_bench(plan, tmp_path / "out", quiet=True)

    def never(work: Any) -> BenchCell:
        raise KeyboardInterrupt(work)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "_measured", never)
        assert run_bench(plan, tmp_path / "out", quiet=True) == first
    ran: list[str] = []
    cell = runner._measured
    monkeypatch.setattr(runner, "_measured", lambda work: ran.append(work.name) or cell(work))
    more = plan_of(small_space, image_folder, methods=(*plan.methods, "class-means"), seeds=(1, 2))
    assert len(run_bench(more, tmp_path / "out", quiet=True)) == 8
    assert len(ran) == 5


def test_a_failed_cell_is_told_and_tried_again(
    small_space: Space, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(small_space, image_folder)
    measured = runner._measured

    def failing(work: Any) -> BenchCell:
        if work.job.method == "ivlp":
            raise RuntimeError("out of\nmemory")
        return measured(work)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "_measured", failing)
        cells = run_bench(plan, tmp_path / "out", quiet=True)
    assert cells[2].error == "RuntimeError: out of memory"
    assert run_bench(plan, tmp_path / "out", quiet=True)[2].error is None


def test_base_to_new(small_space: Space, image_folder: Path, tmp_path: Path) -> None:
    # Of three classes, two are base, and one class needs no telling apart.
    plan = plan_of(small_space, image_folder, protocol="base-to-new")
    cells = {cell.method: cell for cell in run_bench(plan, tmp_path / "out", quiet=True)}
    assert set(cells["zero-shot"].accuracy) == set(cells["ivlp"].accuracy) == {"base", "new"}
    assert cells["zero-shot"].accuracy["new"] == 1.0
    assert set(cells["linear-probe"].accuracy) == {"base"}
    written = write_bench(list(cells.values()), tmp_path / "out", command="dpl-nas bench")
    assert written.all[0].title.startswith("Base and new classes")
    for name in ("results.md", "results.tex", "results.csv"):
        assert "ivlp" in (tmp_path / "out" / name).read_text()
    kept = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(kept["cells"]) == 3
    # A row for each cell and test set, and the heads.
    assert len((tmp_path / "out" / "results.csv").read_text().splitlines()) == 6


def test_other_settings_images_and_files_are_refused(
    small_space: Space, image_folder: Path, tmp_path: Path
) -> None:
    plan = plan_of(small_space, image_folder, methods=("class-means",))
    run_bench(plan, tmp_path / "out", quiet=True)
    other = plan_of(
        small_space, image_folder, methods=("class-means",), train={"epochs": 2, "batch_size": 6}
    )
    with pytest.raises(OutputError, match="holds class-means with other settings"):
        run_bench(other, tmp_path / "out", quiet=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="neither empty nor the folder of a bench"):
        run_bench(plan, tmp_path / "mine", quiet=True)
    cell = tmp_path / "out" / plan.jobs()[0].place / "cell.json"
    cell.write_text(cell.read_text().replace("class-means", "class-meens"))
    with pytest.raises(CheckpointError, match="remove it to run the cell again"):
        run_bench(plan, tmp_path / "out", quiet=True)


def test_what_all_cells_share_is_checked_first(
    small_space: Space, image_folder: Path, tmp_path: Path
) -> None:
    for values, kind in (
        ({"methods": ("tip",)}, ConfigError),
        ({"tasks": (str(tmp_path / "none"),)}, TaskError),
    ):
        plan = plan_of(small_space, image_folder, **values)
        with pytest.raises(kind):
            run_bench(plan, tmp_path / "out", quiet=True)
    plan = plan_of(
        small_space,
        image_folder,
        tasks=(str(image_folder), "mini/digits"),
        protocol="domain-generalization",
    )
    with pytest.raises(BenchError, match="domain-generalization tests classes of"):
        run_bench(plan, tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_cells_have_a_result_or_an_error() -> None:
    head: dict[str, Any] = {"protocol": "few-shot", "method": "x", "task": "t"}
    head |= {"shots": 1, "seed": 1}
    wrong: list[dict[str, Any]] = [
        {},
        {"accuracy": {"all": 0.5}, "error": "no"},
        {"accuracy": {"all": 1.5}},
    ]
    for values in wrong:
        with pytest.raises(ConfigError, match="BenchCell"):
            BenchCell(**head, **values)


def test_the_state_of_a_killed_training_is_used(
    small_space: Space, image_folder: Path, tmp_path: Path
) -> None:
    plan = plan_of(small_space, image_folder, methods=("ivlp",))
    (whole,) = run_bench(plan, tmp_path / "whole", quiet=True)
    place = tmp_path / "out" / plan.jobs()[0].place
    place.mkdir(parents=True)
    (tmp_path / "out" / "bench.json").write_text(json.dumps(plan.model_dump(mode="json")))
    problem = Problem.of(small_space, str(image_folder), shots=2, seed=1, recipe=plan.train)
    make_method("ivlp", recipe="problem").adapt(problem, state=place / "training.state")
    (again,) = run_bench(plan, tmp_path / "out", quiet=True)
    assert again.accuracy == whole.accuracy


def test_lengths_are_searched_in_each_cell(
    small_space: Space, image_folder: Path, tmp_path: Path
) -> None:
    limited = small_space.model_copy(update={"max_context_vectors": 5})
    plan = plan_of(
        limited, image_folder, methods=("ivlp", "ivlp@random", "maple@random"), budget="2-trials"
    )
    given, searched, coupled = run_bench(plan, tmp_path / "out", quiet=True)
    assert [cell.error for cell in (given, searched, coupled)] == [None] * 3
    assert given.lengths == {}
    assert set(searched.lengths) == {"image", "text"}
    assert set(coupled.lengths) == {"text"}
    assert sum(map(sum, searched.lengths.values())) <= 5
    layers = {"image": (0, 2), "text": (0, 1)}
    lengths = {
        tower: [dict(zip(layers[tower], own, strict=True)).get(i, 0) for i in range(3)]
        for tower, own in searched.lengths.items()
    }
    lengths["text"] = lengths["text"][:2]
    problem = Problem.of(limited, str(image_folder), shots=2, seed=1, recipe=plan.train)
    learned = make_method("ivlp", recipe="problem", lengths=lengths).adapt(problem, quiet=True)
    metrics = score(
        {"it": learned.scorer(problem.backbone, problem.task)}, problem.task.test, problem.backbone
    )["it"]
    assert searched.accuracy == {"all": pytest.approx(metrics.accuracy)}
    # The ledger answers for what was tried.
    place = tmp_path / "out" / plan.jobs()[1].place
    (place / "cell.json").unlink()
    ledger = (place / "search" / "ledger.jsonl").read_bytes()
    assert run_bench(plan, tmp_path / "out", quiet=True)[1].lengths == searched.lengths
    assert (place / "search" / "ledger.jsonl").read_bytes() == ledger


def test_settings_are_chosen_on_the_shots(
    small_space: Space, image_folder: Path, tmp_path: Path
) -> None:
    train = {"epochs": 4, "batch_size": 6, "optimizer": {"lr": 0.01}}
    plan = plan_of(small_space, image_folder, recipe="tuned", shots=(4,), train=train)
    plain, probe, prompts = run_bench(plan, tmp_path / "out", quiet=True)
    assert plain.settings == ""
    assert probe.settings in {"C 0.316", "C 0.00316", "C 0.0316", "C 3.16", "C 31.6"}
    assert prompts.settings in {"lr 0.01", "lr 0.0025", "lr 0.04"}
    optimizer = {"lr": float(prompts.settings.removeprefix("lr "))}
    recipe = TrainSettings.model_validate({**train, "optimizer": optimizer})
    problem = Problem.of(small_space, str(image_folder), shots=4, seed=1)
    learned = make_method("ivlp", recipe=recipe).adapt(problem, quiet=True)
    metrics = score(
        {"it": learned.scorer(problem.backbone, problem.task)}, problem.task.test, problem.backbone
    )["it"]
    assert prompts.accuracy == {"all": pytest.approx(metrics.accuracy)}
    tables = write_bench([plain, probe, prompts], tmp_path / "out")
    assert [row[-1] for row in tables.details.rows] == ["-", probe.settings, prompts.settings]
    others = plan_of(small_space, image_folder, shots=(4,), train=train)
    with pytest.raises(OutputError, match="with other settings"):
        run_bench(others, tmp_path / "out", quiet=True)


@pytest.mark.parametrize(
    ("method", "error", "said"),
    [
        ("zero-shot@random", ConfigError, "has no lengths by layer"),
        ("ivlp@randon", StrategyError, "randon"),
        ("clip-lora@darts", StrategyError, "CLIP-LoRA has none: use a strategy of trials"),
    ],
)
def test_searches_that_cannot_be(
    method: str,
    error: type[Exception],
    said: str,
    small_space: Space,
    image_folder: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=said):
        run_bench(plan_of(small_space, image_folder, methods=(method,)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
