"""The published algorithm, computed plainly, gives what dpl_nas gives."""

from collections.abc import Mapping

import open_clip
import pytest
import torch
from torch import nn

from benchmarks.published import PublishedCLIP
from dpl_nas.backbone import Backbone
from dpl_nas.config import InitSettings
from dpl_nas.prompted import Context, ContextCandidates, PromptedCLIP, initialise
from dpl_nas.space import Tower


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.CLIP(
            embed_dim=12,
            vision_cfg={
                "layers": 3,
                "width": 32,
                "head_width": 8,
                "patch_size": 8,
                "image_size": 24,
            },
            text_cfg={"layers": 2, "width": 16, "heads": 2, "context_length": 20},
            quick_gelu=True,
        ).double()
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.data.add_(torch.randn_like(parameter) * 0.1)
    return Backbone.from_model(model, tokenize=open_clip.SimpleTokenizer(context_length=20))


def supernet() -> dict[Tower, dict[int, nn.Module]]:
    return {
        "image": {layer: ContextCandidates.separate(range(5), 32) for layer in range(3)},
        "text": {layer: ContextCandidates.separate([0, 2, 3], 16) for layer in range(2)},
    }


def subnet() -> dict[Tower, dict[int, nn.Module]]:
    return {
        "image": {1: Context(2, 32), 2: Context(0, 32)},
        "text": {0: Context(3, 16), 1: Context(1, 16)},
    }


@pytest.mark.parametrize("contexts", [supernet(), subnet(), {}], ids=["search", "train", "plain"])
def test_equal_in_values_and_gradients(
    backbone: Backbone, contexts: Mapping[Tower, Mapping[int, nn.Module]]
) -> None:
    generator = torch.Generator().manual_seed(1)
    published = PublishedCLIP(backbone, contexts).double()
    ours = PromptedCLIP(backbone, contexts).double()
    initialise(published, InitSettings(scale=1.0), generator)
    for name, parameter in published.named_parameters():
        if name.endswith("alpha"):
            parameter.data.normal_(generator=generator)
    images = torch.randn(2, 3, 24, 24, dtype=torch.float64, generator=generator)
    tokens = backbone.tokenize(["a photo of a dog.", "a photo of a sea lion.", "a photo of a cat."])

    expected = ours(images, backbone.text_inputs_of(tokens))
    found = published(images, tokens)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    parameters = list(ours.parameters())
    if not parameters:
        return
    cotangent = torch.randn(found.shape, dtype=torch.float64, generator=generator)
    for a, b in zip(
        torch.autograd.grad((found * cotangent).sum(), parameters),
        torch.autograd.grad((expected * cotangent).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_a_slice_has_its_first_layers_only(backbone: Backbone) -> None:
    contexts = supernet()
    images = torch.randn(1, 3, 24, 24, dtype=torch.float64)
    model = PublishedCLIP(backbone, contexts, layers=1).double()
    model.encode_image(images).sum().backward()
    touched = {name.split(".")[2] for name, p in model.named_parameters() if p.grad is not None}
    assert touched == {"0"}
