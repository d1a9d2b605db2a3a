"""Random numbers lie in their range, and the same generator gives the same."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.draws import draw_uniform


@given(st.floats(-5, 5), st.floats(0, 5), st.integers(0, 2**31))
def test_numbers_lie_in_the_range_and_come_again(low: float, width: float, seed: int) -> None:
    first, again = (
        draw_uniform((3, 4), low, low + width, torch.Generator().manual_seed(seed))
        for _ in range(2)
    )
    assert first.shape == (3, 4)
    assert first.dtype == torch.float32
    assert torch.equal(first, again)
    assert bool(((first >= low - 1e-5) & (first <= low + width + 1e-5)).all())


def test_the_whole_range_is_used() -> None:
    numbers = draw_uniform((10_000,), -1, 3, torch.Generator().manual_seed(0))
    assert abs(float(numbers.mean()) - 1) < 0.05
    assert float(numbers.min()) < -0.99
    assert float(numbers.max()) > 2.99
