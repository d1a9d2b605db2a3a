from collections import Counter
from typing import Any

import pytest
import torch
from nni.mutable.exception import ConstraintViolation
from nni.nas.space import RawFormatModelSpace, model_context
from nni.nas.strategy import DARTS
from numpy.random import RandomState
from scipy.stats import chisquare

from dpl_nas.backbone import Backbone
from dpl_nas.errors import SpaceError
from dpl_nas.nni.model_space import PromptSpace
from dpl_nas.nni.search_space import sample_of
from dpl_nas.prompted import Context, NestedContext
from dpl_nas.space import Space, fitting

LABELS = {"image/0", "image/2", "text/0", "text/1"}


def test_simplify(small_space: Space, small_backbone: Backbone) -> None:
    model = PromptSpace(small_space, small_backbone)
    choices = model.simplify()
    assert set(choices) == LABELS
    assert choices["image/0"].values == ["0", "2", "4"]


def test_freeze_keeps_the_vectors(small_space: Space, small_backbone: Backbone) -> None:
    model = PromptSpace(small_space, small_backbone)
    architecture = small_space.architecture({"image/0": 4, "image/2": 0, "text/0": 1, "text/1": 2})
    frozen = model.freeze(sample_of(architecture))
    context = frozen.clip.contexts["image"]["0"]
    assert isinstance(context, Context)
    assert context.length == 4
    assert torch.equal(context.vectors, model.clip.contexts["image"]["0"]["4"].vectors)
    assert frozen.clip.backbone is small_backbone  # never copied
    images = torch.randn(2, 3, 24, 24)
    text = small_backbone.text_inputs(["a dog", "a cat"])
    assert frozen(images, text).shape == (2, 2)


def test_its_text_is_short(small_space: Space, small_backbone: Backbone) -> None:
    model = PromptSpace(small_space, small_backbone)
    assert repr(model) == f"PromptSpace({small_space!r})"
    sample: dict[str, Any] = {}
    model.random(sample)
    assert len(repr(model.freeze(sample))) < 200


def test_random_sample_and_model_context(small_space: Space, small_backbone: Backbone) -> None:
    sample: dict[str, str] = {}
    PromptSpace(small_space, small_backbone).random(sample)
    assert set(sample) == LABELS
    with model_context(sample):
        model = PromptSpace(small_space, small_backbone)
    assert model.clip.contexts["text"]["1"].length == int(sample["text/1"])


def test_shared_vectors(small_space: Space, small_backbone: Backbone) -> None:
    space = small_space.model_copy(update={"shared_vectors": True})
    layer = PromptSpace(space, small_backbone).clip.contexts["image"]["0"]
    assert isinstance(layer["2"], NestedContext)
    assert layer["2"].vectors is layer["4"].vectors
    assert sum(p.numel() for p in layer.parameters()) == 4 * 32


def test_a_layer_that_is_not_there(small_space: Space, small_backbone: Backbone) -> None:
    data = small_space.model_dump(mode="json")
    data["towers"]["text"]["layers"] = [0, 2]
    with pytest.raises(SpaceError, match=r"text/2, but the text tower .* has 2 layers"):
        PromptSpace(Space.model_validate(data), small_backbone)


@pytest.fixture
def limited(small_space: Space) -> Space:
    return Space.model_validate({**small_space.model_dump(mode="json"), "max_context_vectors": 3})


def test_samples_within_the_limits(limited: Space, small_backbone: Backbone) -> None:
    choices = PromptSpace(limited, small_backbone).simplify().values()
    state = RandomState(0)
    seen: Counter[tuple[str, ...]] = Counter()
    for _ in range(1000):
        sample: dict[str, str] = {}
        for choice in choices:
            choice.random(sample, state)
        assert set(sample) == LABELS
        seen[tuple(sample[choice.label] for choice in choices)] += 1
    assert len(seen) == fitting.count(limited)
    assert chisquare(list(seen.values())).pvalue > 0.01


def test_samples_with_lengths_that_are_given(limited: Space, small_backbone: Backbone) -> None:
    model = PromptSpace(limited, small_backbone)
    sample = {"image/2": "2", "text/1": "1"}
    model.random(sample)
    assert sample == {"image/0": "0", "image/2": "2", "text/0": "0", "text/1": "1"}
    with pytest.raises(
        ConstraintViolation, match="no architecture that fits space small has length 4 at image/2"
    ):
        model.random({"image/2": "4"})


def test_the_grid_within_the_limits(limited: Space, small_backbone: Backbone) -> None:
    space = RawFormatModelSpace(PromptSpace(limited, small_backbone), None)
    samples = [dict(model.sample) for model in map(copied, space.grid())]
    assert samples == [sample_of(each) for each in fitting.enumerate_all(limited)]


def copied(model: RawFormatModelSpace) -> RawFormatModelSpace:
    """NNI's grid goes on with one and the same sample."""
    model.sample = dict(model.sample)
    return model


def test_samples_over_the_limits(limited: Space, small_backbone: Backbone) -> None:
    model = PromptSpace(limited, small_backbone)
    over = sample_of(limited.model_copy(update={"max_context_vectors": None}).uniform(1))
    assert model.contains(over)
    over["image/0"] = "2"
    assert not model.contains(over)
    with pytest.raises(ConstraintViolation, match="at most 3 context vectors, found 4"):
        model.freeze(over)


def test_a_supernet_has_all_lengths(limited: Space, small_backbone: Backbone) -> None:
    supernet = DARTS().mutate_model(PromptSpace(limited, small_backbone))
    assert len(supernet.clip.contexts["image"]["0"].alpha) == 3
