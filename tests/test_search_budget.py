import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.errors import ConfigError
from dpl_nas.io.validation import validate
from dpl_nas.search_budget import SearchBudget

counts = st.none() | st.integers(1, 10**12)
# As many digits as %g prints, and no exponent.
seconds = st.none() | st.integers(1, 999_999) | st.sampled_from([0.5, 1.25, 0.001])


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("40-trials", SearchBudget(trials=40)),
        ("1 trial", SearchBudget(trials=1)),
        (" 8000steps ", SearchBudget(steps=8000)),
        ("600-seconds", SearchBudget(seconds=600)),
        ("1.5s", SearchBudget(seconds=1.5)),
        ("40.0-trials", SearchBudget(trials=40)),
        ("600-s,40-trials", SearchBudget(trials=40, seconds=600)),
        ("1-trial, 2-steps, 3-seconds", SearchBudget(trials=1, steps=2, seconds=3)),
    ],
)
def test_texts(text: str, budget: SearchBudget) -> None:
    assert SearchBudget.parse(text) == budget


@given(counts, counts, seconds)
def test_a_text_comes_back(trials: int | None, steps: int | None, seconds: float | None) -> None:
    if trials is steps is seconds is None:
        return
    budget = SearchBudget(trials=trials, steps=steps, seconds=seconds)
    assert SearchBudget.parse(str(budget)) == budget


@given(st.floats(min_value=1e-3, max_value=1e12))
def test_any_seconds_come_back(seconds: float) -> None:
    budget = SearchBudget(seconds=seconds)
    assert SearchBudget.parse(str(budget)) == budget


@pytest.mark.parametrize(
    "text",
    [
        "",
        "40",
        "trials",
        "40-trails",
        "-1-trials",
        "0-trials",
        "0-seconds",
        "1.5-trials",
        "2-steps,3-steps",
        "2-trials,",
        "1e3-steps",
        "nan-seconds",
        "inf-seconds",
        "4O-trials",
        "9" * 20 + "-trials",
        "9" * 20 + "-seconds",
        "9" * 400 + "-seconds",
    ],
)
def test_texts_that_are_no_budget(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        SearchBudget.parse(text)
    assert len(str(error.value).splitlines()) == 1
    assert "budget" in str(error.value) or "number of" in str(error.value)


@pytest.mark.parametrize("value", [None, 5, ["5-trials"]])
def test_budgets_are_texts(value: object) -> None:
    with pytest.raises(ConfigError, match="expected a budget such as '40-trials', found"):
        SearchBudget.parse(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"trials": 0},
        {"trials": 1.5},
        {"trials": True},
        {"steps": "many"},
        {"seconds": 0},
        {"seconds": True},
        {"seconds": float("inf")},
        {"seconds": float("nan")},
        {"epochs": 3},
    ],
)
def test_values_that_are_no_budget(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        validate(SearchBudget, values, "budget", ConfigError)
