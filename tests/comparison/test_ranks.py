from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.comparison.ranks import rank


@given(
    st.lists(
        st.tuples(*[st.integers(0, 10).map(lambda n: n / 10) for _ in range(3)]),
        min_size=1,
        max_size=6,
    )
)
def test_ranks_of_complete_blocks(cell: Any, rows: list[tuple[float, float, float]]) -> None:
    cells = [
        cell(name, seed=seed, accuracy=value)
        for seed, row in enumerate(rows)
        for name, value in zip("abc", row, strict=True)
    ]
    found = rank(cells)
    assert sum(found.mean.values()) == pytest.approx(6)
    assert found.blocks == len(rows)
    for index in range(len(rows)):
        assert sum(places[index] for places in found.by_seed.values()) == pytest.approx(6)


def test_ranks_leave_out_what_is_not_there(cell: Any) -> None:
    cells = [
        cell("a", seed=1, accuracy=0.9),
        cell("b", seed=1, accuracy=0.8),
        cell("c", seed=1, accuracy=None),
        cell("a", seed=2, accuracy=0.1),
        cell("reference", seed=1, accuracy=0.99, reference=True),
    ]
    found = rank(cells)
    assert found.mean == {"a": 1, "b": 2}
    assert (found.blocks, found.incomplete, found.absent) == (1, 1, ("c",))
    assert rank([cell("a", accuracy=None)]).mean == {}
