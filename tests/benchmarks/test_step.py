"""``python -m benchmarks.step``: which rows, how slices add up, what is printed."""

import json
import time
from dataclasses import replace

import pytest
import torch

from benchmarks import floor, slices
from benchmarks.measure import Row, interleaved
from benchmarks.memory import _peak
from benchmarks.slices import Slice
from benchmarks.step import main, picked, table
from benchmarks.workload import CASES, Case, Part, Workload, backbone_of, class_names

SMALL = Case("mini_clip", "search", 10, 2)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # main() sets what is not set.
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.setenv("GOMP_SPINCOUNT", "2000")


def test_rows_are_picked() -> None:
    assert picked([]) == list(CASES)
    assert len(CASES) == 2 * 3 * 3 * 3
    assert picked(["vit_b16,search,100,6"]) == [Case("vit_b16", "search", 100, 6)]
    found = picked(["mini_clip,train,*,2", "mini_clip, train, 10, *"])
    assert [(case.classes, case.max_length) for case in found] == [
        (10, 2), (10, 6), (10, 16), (100, 2), (1000, 2)
    ]  # fmt: skip


def test_a_pattern_of_no_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--only", "vit_b16,search,100"])
    assert caught.value.code == 2
    assert "MODEL,PHASE,CLASSES,LENGTH" in capsys.readouterr().err


def test_made_up_names_have_one_to_five_tokens() -> None:
    names = class_names(50)
    assert names == class_names(50)
    tokens = backbone_of("mini_clip").tokenize([f"{name}" for name in names])
    lengths = tokens.argmax(dim=-1) - 1
    assert lengths.tolist() == [len(name.split()) for name in names]
    assert set(lengths.tolist()) == {1, 2, 3, 4, 5}


def test_the_published_step_is_sliced_by_its_size() -> None:
    backbone = backbone_of("mini_clip")
    case = Case("mini_clip", "search", 1000, 6)
    assert slices.slice_of(SMALL, backbone) == Slice()
    assert slices.slice_of(case, backbone) == Slice(None, 100)
    assert slices.slice_of(SMALL, backbone, budget=2e7) == Slice(3, None)
    assert slices.slice_of(case, backbone, budget=1e7).layers == 3
    assert slices.slice_of(Case("mini_clip", "evaluate", 1000, 6), backbone) == Slice(None, 100)


def test_slices_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step whose cost is known: 5 + 3 a layer for images, 2 a layer and class for text."""

    def cost(self: Workload, tower: str, layers: int, classes: int) -> float:
        return 5 + 3 * layers if tower == "image" else 2 * layers * classes

    monkeypatch.setattr(Workload, "published_tower", cost)
    workload = Workload(SMALL, backbone_of("mini_clip"))
    expected = {"image": 5 + 3 * 12, "text": 2 * 12 * 10}
    for chosen in (Slice(3, None), Slice(3, 4), Slice(None, 5)):
        found = slices.parts(workload, chosen)
        # The text tower's two passes of a search step are timed once.
        assert sum(part.share * part.passes * part.run for part in found) == pytest.approx(  # type: ignore[operator]
            expected["image"] + 2 * expected["text"]
        )
        assert sum(part.share * part.run for part in found) == pytest.approx(  # type: ignore[operator]
            sum(expected.values())
        )


def test_sides_take_turns() -> None:
    calls: list[str] = []
    slow = [Part(lambda: _wait(calls, "a")), Part(lambda: _wait(calls, "b"), 2.0)]
    seconds = interleaved([slow, [Part(lambda: _wait(calls, "c"))]], 2, lambda: calls.append("-"))
    assert calls == ["a", "b", "c", "-"] * 2
    assert seconds[0] == pytest.approx(3 * seconds[1], rel=0.5)


def _wait(calls: list[str], name: str) -> None:
    calls.append(name)
    time.sleep(0.21)


def test_one_json_object_and_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floor, "SHAPES", ((8, 8, 8),))
    main(["--only", "mini_clip,train,10,2", "--repeats", "1", "--no-memory", "--json"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) == 1
    row = rows[0]
    assert row["ratio"] == pytest.approx(row["published_s"] / row["ours_s"])
    assert row["floor_ratio"] == pytest.approx(row["ours_s"] / row["floor_s"])
    assert row["floor_s"] == pytest.approx(row["gflop"] / row["peak_gflops"])
    assert row["scaled_from_layers"] is None
    assert row["published_gb"] is None


def test_the_table_marks_what_was_scaled() -> None:
    row = Row(
        *("vit_b16", "search", 1000, 6, 120.0, 10.0, 12.0, 8.0, 1.25, 25.0, 3.0, 3, 100, True),
        *(200.0, 1600.0, 2, 5),
    )
    found = table([row, replace(row, scaled_from_layers=None), replace(row, published_gb=None)])
    columns = [list(column.cells) for column in found.columns]
    assert columns[4] == ["120*"] * 3
    assert columns[9] == ["25*", "25*", ""]
    assert columns[-1] == ["3 / 100", "all / 100", "3 / 100"]


@pytest.mark.parametrize("published", [None, Slice(), Slice(3, 5)])
def test_peak_memory(published: Slice | None) -> None:
    found = _peak(SMALL, published, 0, idle=published is not None, threads=torch.get_num_threads())
    assert 0.1 < found < 100
