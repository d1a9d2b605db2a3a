"""Models in a stack give what each gives alone: outputs, gradients, trained vectors."""

from collections.abc import Callable, Mapping, Sequence

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dpl_nas.backbone import Backbone, TextInputs, packing
from dpl_nas.config import InitSettings
from dpl_nas.prompted import Context, ContextCandidates, PromptedCLIP, StackedCLIP, initialise
from dpl_nas.space import Tower
from tests.prompted.test_clip import TEXTS, VARIANTS, images

#: Lengths by layer: three of the image tower, two of the text tower.
Lengths = tuple[int, int, int, int, int]


def model_of(
    backbone: Backbone, lengths: Lengths, seed: int, dtype: torch.dtype = torch.float64
) -> PromptedCLIP:
    contexts: dict[Tower, dict[int, nn.Module]] = {"image": {}, "text": {}}
    for place, length in enumerate(lengths):
        tower: Tower = "image" if place < 3 else "text"
        if length:
            contexts[tower][place % 3] = Context(length, backbone.widths[tower])
    model = PromptedCLIP(backbone, contexts).to(dtype)
    initialise(model, InitSettings(scale=1.0), torch.Generator().manual_seed(seed))
    return model


def models_of(
    backbone: Backbone, lengths: Sequence[Lengths], dtype: torch.dtype = torch.float64
) -> list[PromptedCLIP]:
    return [model_of(backbone, each, seed, dtype) for seed, each in enumerate(lengths)]


def gradients_alone(
    models: Sequence[PromptedCLIP], pictures: Tensor, text: TextInputs
) -> list[dict[str, Tensor]]:
    """For each model its outputs, and the gradients of a function of the logits."""
    found = []
    for model in models:
        outputs = model.outputs(pictures, text)
        names = [name for name, _ in model.named_parameters()]
        gradients = torch.autograd.grad(outputs.logits.sin().sum(), list(model.parameters()))
        found.append({"logits": outputs.logits, **dict(zip(names, gradients, strict=True))})
    return found


def gradients_stacked(
    models: Sequence[PromptedCLIP], pictures: Tensor, text: TextInputs
) -> list[dict[str, Tensor]]:
    stack = StackedCLIP(models)
    each = stack.each_outputs(pictures, text)
    torch.stack([outputs.logits.sin().sum() for outputs in each]).sum().backward()
    # The models get the gradients in the way in which they get the vectors.
    with torch.no_grad():
        for parameter in stack.parameters():
            assert parameter.grad is not None
            parameter.copy_(parameter.grad)
    stack.unstack()
    return [
        {"logits": outputs.logits, **dict(model.named_parameters())}
        for outputs, model in zip(each, models, strict=True)
    ]


def assert_as_alone(
    backbone: Backbone,
    lengths: Sequence[Lengths],
    text: TextInputs,
    dtype: torch.dtype = torch.float64,
    tolerance: float = 1e-9,
) -> None:
    pictures = images(dtype=dtype)
    expected = gradients_alone(models_of(backbone, lengths, dtype), pictures, text)
    found = gradients_stacked(models_of(backbone, lengths, dtype), pictures, text)
    for alone, stacked in zip(expected, found, strict=True):
        assert alone.keys() == stacked.keys()
        for name, value in alone.items():
            torch.testing.assert_close(stacked[name], value, rtol=tolerance, atol=tolerance)


MIXED: list[Lengths] = [
    (0, 2, 0, 0, 1),
    (3, 0, 1, 2, 0),
    (0, 0, 0, 0, 4),
    (0, 0, 2, 0, 0),
    (0, 2, 0, 0, 1),
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_towers_of_every_kind(make_backbone: Callable[..., Backbone], variant: str) -> None:
    backbone = make_backbone(**VARIANTS[variant])
    assert_as_alone(backbone, MIXED, TEXTS["one template"](backbone))


@pytest.mark.parametrize("captions", TEXTS)
@pytest.mark.parametrize("way", ["packed", "dense", "chunks"])
def test_every_plan_of_the_text(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch, captions: str, way: str
) -> None:
    monkeypatch.setattr(packing, "_WORTHWHILE", 1 << 60 if way == "dense" else 0)
    if way == "chunks":
        monkeypatch.setattr("dpl_nas.backbone.memory._ON_CPU", 1)
    assert_as_alone(backbone, MIXED, TEXTS[captions](backbone))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(*(st.integers(0, 3) for _ in range(5))).filter(any), min_size=1, max_size=5)
)
def test_any_lengths(backbone: Backbone, lengths: list[Lengths]) -> None:
    assert_as_alone(backbone, lengths, TEXTS["mean with a shared start"](backbone))


def test_single_precision(make_backbone: Callable[..., Backbone]) -> None:
    backbone = make_backbone(double=False)
    text = TEXTS["one template"](backbone)
    assert_as_alone(backbone, MIXED, text, torch.float32, tolerance=2e-4)


def test_states_of_images_are_kept_and_chosen(backbone: Backbone) -> None:
    stack = StackedCLIP(models_of(backbone, MIXED))
    text, pictures = TEXTS["one template"](backbone), images(4)
    states = [stack.image_states(part) for part in pictures.split(2)]
    joined = type(states[0]).join(states)
    assert joined.nbytes == sum(each.nbytes for each in states) > 0
    rows = torch.tensor([3, 0])
    for found, expected in zip(
        stack.each_outputs(joined[rows], text),
        stack.each_outputs(pictures[rows], text),
        strict=True,
    ):
        torch.testing.assert_close(found.logits, expected.logits, rtol=1e-9, atol=1e-9)


def test_vectors_go_in_and_out(backbone: Backbone) -> None:
    models = models_of(backbone, MIXED)
    before: list[Mapping[str, Tensor]] = [
        {name: each.clone() for name, each in model.state_dict().items()} for model in models
    ]
    stack = StackedCLIP(models)
    assert sorted(name for name, _ in stack.named_parameters()) == ["image.vectors", "text.vectors"]
    assert stack.unstack() == tuple(models)
    for model, old in zip(models, before, strict=True):
        assert all(torch.equal(each, old[name]) for name, each in model.state_dict().items())


def test_what_is_no_stack_is_refused(
    backbone: Backbone, make_backbone: Callable[..., Backbone]
) -> None:
    other = model_of(make_backbone(), MIXED[0], 0)
    with pytest.raises(ValueError, match="models of one backbone, found several"):
        StackedCLIP([model_of(backbone, MIXED[0], 0), other])
    candidates = ContextCandidates.separate([0, 1], 32)
    supernet = PromptedCLIP(backbone, {"image": {0: candidates}})
    with pytest.raises(TypeError, match="one length a layer, found ContextCandidates"):
        StackedCLIP([supernet])


def test_offsets_of_class_features_are_each_models_own(small_backbone: Backbone) -> None:
    draw = torch.Generator().manual_seed(1)
    text = small_backbone.text_inputs(list(TEXTS))

    def made() -> list[PromptedCLIP]:
        models = models_of(small_backbone, MIXED[:3], torch.float32)
        draw.manual_seed(2)
        for model in models:
            model.offsets = nn.Parameter(torch.randn(len(TEXTS), 12, generator=draw))
        return models

    pictures = images(dtype=torch.float32)
    expected = gradients_alone(made(), pictures, text)
    found = gradients_stacked(made(), pictures, text)
    for alone, stacked in zip(expected, found, strict=True):
        assert "offsets" in alone
        for name, value in alone.items():
            torch.testing.assert_close(stacked[name], value, rtol=1e-4, atol=1e-4)
