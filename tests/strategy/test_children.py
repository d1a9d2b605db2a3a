"""Children of the best trials."""

from typing import Any

from dpl_nas.config import TrainSettings
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Architecture
from dpl_nas.space.fitting import portfolio
from dpl_nas.strategy import Search, SearchResult, Strategy
from dpl_nas.strategy.children import try_children
from dpl_nas.testing import Bench, small_space

SPACE = small_space(2)
PARENTS = list(portfolio(SPACE).values())[:3]


class Family(Strategy):
    """Parents, and children of the best of them."""

    def __init__(self, parents: list[Architecture], count: int) -> None:
        super().__init__()
        self._parents = parents
        self._count = count

    def explore(self, search: Search) -> None:
        search.evaluate(self._parents)
        try_children(search, self._count, guided=False)


def search(bench: Bench, parents: list[Architecture], count: int, **options: Any) -> SearchResult:
    return Family(parents, count).search(
        SPACE,
        bench.task,
        options.pop("budget", None),
        shots=4,
        train=TrainSettings(epochs=1, batch_size=8),
        backbone=bench.backbone,
    )


def test_children_are_new_and_change_little(bench: Bench) -> None:
    result = search(bench, PARENTS, 5)
    tried = [each.architecture for each in result.evaluations]
    assert tried[:3] == PARENTS
    children = tried[3:]
    assert len(set(tried)) == len(tried) == 8
    for child in children:
        SPACE.check(child)
        offered = [
            {parent.by_label()[label] for parent in PARENTS} for label, _, _ in SPACE.labels()
        ]
        lengths = list(child.by_label().values())
        crossed = all(length in each for length, each in zip(lengths, offered, strict=True))
        changes = min(
            sum(a != b for a, b in zip(lengths, parent.by_label().values(), strict=True))
            for parent in PARENTS
        )
        assert crossed or changes <= 2
    again = search(bench, PARENTS, 5)
    assert [each.architecture for each in again.evaluations] == tried


def test_the_budget_ends_them(bench: Bench) -> None:
    result = search(bench, PARENTS, 50, budget=SearchBudget(trials=5))
    assert len(result.evaluations) == 5


def test_nothing_comes_of_nothing(bench: Bench) -> None:
    everything = small_space(0)
    only = everything.uniform(0)
    # All that fits was tried, so there are no children.
    result = Family([only], 3).search(
        everything,
        bench.task,
        shots=4,
        train=TrainSettings(epochs=1, batch_size=8),
        backbone=bench.backbone,
    )
    assert [each.architecture for each in result.evaluations] == [only]
