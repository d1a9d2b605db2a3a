"""Pruning within limits, of the least salient vectors first."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpl_nas.config import AdaptSettings, TrainSettings
from dpl_nas.errors import ConfigError
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Space, fitting
from dpl_nas.strategy import Adapt
from dpl_nas.strategy.adapt import _shares_left, pruned
from dpl_nas.strategy.supernet.salient import SalientContext
from dpl_nas.testing import Bench, small_space

TRAIN = TrainSettings(epochs=1, batch_size=2)


def contexts_of(space: Space, saliency: list[float]) -> dict[str, SalientContext]:
    """Contexts of the longest lengths with given saliencies, in the order of the labels."""
    found = {}
    values = iter(saliency)
    for label, tower, _ in space.labels():
        found[label] = SalientContext(space.towers[tower].lengths[-1], 2)
        found[label].saliency.copy_(torch.tensor([next(values) for _ in found[label].saliency]))
    return found


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    tower = st.fixed_dictionaries(
        {
            "layers": st.lists(st.integers(0, 11), min_size=1, max_size=3, unique=True),
            "lengths": st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True),
        }
    )
    both = draw(st.fixed_dictionaries({}, optional={"image": tower, "text": tower}).filter(bool))
    least = sum(min(part["lengths"]) * len(part["layers"]) for part in both.values())
    most = draw(st.none() | st.integers(least, 24))
    return Space.model_validate({"name": "drawn", "towers": both, "max_context_vectors": most})


@settings(deadline=None, max_examples=60)
@given(spaces(), st.floats(0.01, 1), st.integers(1, 5), st.data())
def test_pruning_ends_within_the_limits(
    space: Space, keep: float, stages: int, data: st.DataObject
) -> None:
    goal = fitting.bound_vectors(space, keep)
    everything = 24
    saliency = st.lists(st.floats(0, 100, width=32), min_size=everything, max_size=everything)
    contexts = contexts_of(space, data.draw(saliency))
    told = []
    for left in _shares_left(AdaptSettings(epochs=stages, stages=stages)).values():
        kept = pruned(fitting.relax(goal, left), contexts).by_label()
        told.append(sum(kept.values()))
        for label, context in contexts.items():
            # Nothing comes back.
            assert kept[label] <= context.count
            context.drop(context.count - kept[label], context.saliency)
    assert all(later <= before for before, later in pairwise(told))
    lengths = {label: context.count for label, context in contexts.items()}
    assert fitting.fits(goal, lengths)
    space.architecture(lengths)


def test_the_least_salient_go_first() -> None:
    space = small_space(3)
    contexts = contexts_of(space, [5.0, 0.1, 0.3, 0.2, 4.0, 3.0, 0.0, 0.4])
    kept = pruned(space, contexts)
    assert kept.by_label() == {"image/0": 1, "image/6": 0, "text/0": 2, "text/6": 0}
    contexts["text/0"].drop(1, contexts["text/0"].saliency)
    assert contexts["text/0"].used.tolist() == [True, False]
    # A vector that is gone counts no more.
    assert pruned(space, contexts).by_label()["text/0"] == 1


def test_stages() -> None:
    assert _shares_left(AdaptSettings(epochs=8, stages=4)) == {2: 0.75, 4: 0.5, 6: 0.25, 8: 0.0}
    assert list(_shares_left(AdaptSettings(epochs=3, stages=8))) == [1, 2, 3]
    assert list(_shares_left(AdaptSettings(epochs=5, stages=2))) == [2, 5]


def search(bench: Bench, space: Space, **more: Any) -> Any:
    budget = more.pop("budget", SearchBudget(trials=9))
    return Adapt(**{"epochs": 4, "batch_size": 2, **more}).search(
        space, bench.task, budget, shots=4, train=TRAIN, backbone=bench.backbone
    )


def test_the_paper_trains_one_architecture(bench: Bench) -> None:
    result = search(bench, small_space())
    assert len(result.evaluations) == 1
    assert result.architecture.vectors == 3
    # Four epochs and a trial of one, two steps each.
    assert result.cost.steps == 10
    assert result.stopped_by == "epochs"


def test_a_space_without_a_limit_keeps_a_share(bench: Bench) -> None:
    assert search(bench, small_space(None), keep=0.6).architecture.vectors == 5
    # There is nothing to prune, so nothing is paid but the trial.
    whole = search(bench, small_space(None), keep=1.0)
    assert whole.architecture.vectors == 8
    assert whole.cost.steps == 2


def test_settings() -> None:
    for wrong in ({"keep": 0.0}, {"keep": 1.5}, {"stages": 0}, {"shortlist": 0}, {"eta": 2}):
        with pytest.raises(ConfigError):
            Adapt(**wrong)
