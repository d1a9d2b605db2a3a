import pytest
import torch
from nni.nas.space import model_context

from dpl_nas.backbone import Backbone
from dpl_nas.errors import SpaceError
from dpl_nas.nni.model_space import PromptSpace, sample_of
from dpl_nas.prompted import Context, NestedContext
from dpl_nas.space import Space

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
