"""Supernets that are interrupted between epochs end as if they had not been."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dpl_nas.config import TrainSettings
from dpl_nas.errors import CheckpointError
from dpl_nas.observer import Observer
from dpl_nas.strategy import Adapt, GumbelDARTS, OneShot, ProVpt, SearchResult, Strategy
from dpl_nas.testing import Bench, ledger_of, small_space, story
from dpl_nas.training.state import load_state, save_state

EPOCHS = 4
SUPERNET: dict[str, Any] = {"epochs": EPOCHS, "batch_size": 2}
STRATEGIES = [
    OneShot(**SUPERNET, population_size=4, generations=2, shortlist=2),
    GumbelDARTS(**SUPERNET, shortlist=2, alphas={"lr": 0.2}, constraint={"anneal": 0.5}),
    Adapt(**SUPERNET, stages=3, shortlist=2),
    ProVpt(**SUPERNET, shortlist=2),
]


class Stopped(BaseException):
    pass


class StopAfter(Observer):
    """Stops at a number of units of a stage, and notes where each stage began."""

    def __init__(self, stage: str, done: int) -> None:
        self.stage = stage
        self.done = done
        self.begun: list[tuple[str, int]] = []

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        self.begun.append((stage, done))

    def advance(
        self, stage: str, done: int, metrics: Mapping[str, float], status: str = ""
    ) -> None:
        if (stage, done) == (self.stage, self.done):
            raise Stopped


def search(strategy: Strategy, bench: Bench, folder: Path | None, **others: Any) -> SearchResult:
    return strategy.search(
        small_space(),
        bench.task,
        shots=4,
        train=TrainSettings(epochs=1, batch_size=2),
        backbone=bench.backbone,
        folder=folder,
        **others,
    )


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: each.name)
def test_resume_is_exact(bench: Bench, strategy: Strategy, tmp_path: Path) -> None:
    whole = search(strategy, bench, tmp_path / "whole")
    for done in range(1, EPOCHS + 1):
        observer = StopAfter("search", done)
        with pytest.raises(Stopped):
            search(strategy, bench, tmp_path / "resumed", observer=observer)
        # Not one epoch is trained again.
        assert observer.begun == [("search", done - 1)]
    observer = StopAfter("shortlist", 1)
    with pytest.raises(Stopped):
        search(strategy, bench, tmp_path / "resumed", observer=observer)
    assert [stage for stage, _ in observer.begun] == ["shortlist"]
    resumed = search(strategy, bench, tmp_path / "resumed")
    assert story(resumed) == story(whole)
    assert ledger_of(tmp_path / "resumed") == ledger_of(tmp_path / "whole")
    assert resumed.cost.seconds > 0
    # Without a folder, it is the same search.
    assert story(search(strategy, bench, None)) == story(whole)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: each.name)
def test_a_state_that_is_damaged_is_refused(
    bench: Bench, strategy: Strategy, tmp_path: Path
) -> None:
    search(strategy, bench, tmp_path)
    path = tmp_path / "search.state"
    content = path.read_bytes()
    state = load_state(path)
    assert state is not None
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="remove it"):
        search(strategy, bench, tmp_path)
    for epochs in (EPOCHS + 1, -1):
        save_state(path, {**state, "epochs": epochs})
        with pytest.raises(CheckpointError, match="remove"):
            search(strategy, bench, tmp_path)
    save_state(path, {**state, "history": "design"})
    with pytest.raises(CheckpointError, match="remove"):
        search(strategy, bench, tmp_path)
    save_state(path, {"epochs": 2})
    with pytest.raises(CheckpointError, match="remove"):
        search(strategy, bench, tmp_path)
    # As it says: without the state, the same search begins afresh and is paid for once.
    path.unlink()
    lines = (tmp_path / "ledger.jsonl").read_bytes()
    search(strategy, bench, tmp_path)
    assert (tmp_path / "ledger.jsonl").read_bytes() == lines


def test_the_temperature_falls_over_all_parts(bench: Bench, tmp_path: Path) -> None:
    """A search at a constant temperature, and one of another seed, go other ways."""
    gumbel = GumbelDARTS(**SUPERNET, alphas={"lr": 0.2})
    falling = search(gumbel, bench, None)
    constant = search(
        GumbelDARTS(**SUPERNET, alphas={"lr": 0.2}, temperature={"start": 5.0, "end": 5.0}),
        bench,
        None,
    )
    # The first epoch is at the same temperature, and its noise is of the seed.
    assert falling.records[0] == constant.records[0]
    assert falling.records[-1].alpha != constant.records[-1].alpha
    assert search(gumbel, bench, None, seed=2).records[0].alpha != falling.records[0].alpha
