import pytest
import torch

from dpl_nas.backbone import packing
from dpl_nas.errors import ConfigError, DplWarning
from dpl_nas.kernels import KernelPath
from dpl_nas.methods import TokenCLIP
from dpl_nas.prompted import LayerTokens
from dpl_nas.tasks import Task
from tests.methods.tiny import backbone_of, tower_method


def test_tokens_start_as_words_as_far_as_they_go() -> None:
    backbone = backbone_of(torch.float32)
    words = backbone.tokenize(["a photo of a"])[0, 1:5]
    table = backbone.text.token_table
    for length in (2, 4, 6):
        first = tower_method("ivlp", length=length).model(backbone, 1).state_dict()["tokens.text.0"]
        known = min(length, 4)
        assert torch.equal(first[:known], table[words[:known]])
        assert bool((first[4:] != 0).all())


def test_names_without_room_are_told(task: Task) -> None:
    backbone = backbone_of(torch.float32)
    method = tower_method("coop", length=16)
    with pytest.warns(DplWarning, match="no room for 16 tokens before the whole names"):
        text = method.captions(backbone, task)
    # The end of the text is still read.
    assert text.pooling.argmax(dim=1).tolist() == [19] * 3
    with pytest.raises(ConfigError, match="has room for 17 learned tokens before a class name"):
        tower_method("coop", length=18).model(backbone, 1)


@pytest.mark.parametrize("path", ["fast", "portable", "reference"])
@pytest.mark.parametrize("layers", [(0,), (0, 1)])
@pytest.mark.parametrize("chunk", [1024, 8])
def test_variants_are_encoded_together_as_one_by_one(
    path: KernelPath, layers: tuple[int, ...], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "_CHUNK_TOKENS", chunk)
    backbone = backbone_of(torch.float64)
    model = TokenCLIP(backbone, {"text": dict.fromkeys(layers, 3)}, 1, path=path)
    names = ["a photo of a cat", "dog", "an old car", "tree", "a red red rose"]
    tokens = backbone.tokenize([f"{name}." for name in names])
    held = tokens.new_zeros(len(names), 3)
    tokens = torch.cat([tokens[:, :1], held, tokens[:, 1:-3]], dim=1)
    text = backbone.text_inputs_of(tokens)
    width = backbone.widths["text"]
    generator = torch.Generator().manual_seed(0)
    vectors = {
        layer: torch.empty(4, 3, width, dtype=torch.float64).normal_(generator=generator)
        for layer in layers
    }
    pull = torch.empty(4, len(names), 1, dtype=torch.float64).normal_(generator=generator)

    def features(*, together: bool) -> tuple[torch.Tensor, list[torch.Tensor]]:
        leaves = {layer: each.clone().requires_grad_() for layer, each in vectors.items()}
        if together:
            own = {layer: LayerTokens(each) for layer, each in leaves.items()}
            found = model.encode_text_of_each(text, own)
        else:
            found = torch.stack(
                [
                    model.encode_text_with(
                        text, {layer: LayerTokens(each[variant]) for layer, each in leaves.items()}
                    )
                    for variant in range(4)
                ]
            )
        (found * pull).sum().backward()
        gradients = [each.grad for each in leaves.values() if each.grad is not None]
        assert len(gradients) == len(layers)
        return found.detach(), gradients

    found, gradients = features(together=True)
    expected, wanted = features(together=False)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(gradients, wanted, atol=1e-12, rtol=1e-10)
