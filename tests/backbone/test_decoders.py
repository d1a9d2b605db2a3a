"""Decoders of transformers: as the library runs them, and with contexts as defined.

The definition is written with the library's own forward pass: keys and values of the contexts are
put into torch's attention, while the layer that calls it runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone import Backbone, packing
from dpl_nas.backbone.decoders import PADDING
from dpl_nas.errors import BackboneError
from dpl_nas.kernels import KernelPath
from dpl_nas.prompted import Context, PromptedCLIP, StackedCLIP

LLAMA = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 40,
    "max_position_embeddings": 32,
    "vocab_size": 60,
}
#: Settings by the kind of transformers, and what is special about it.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": (
        "gpt2",
        {"n_embd": 24, "n_layer": 3, "n_head": 4, "n_positions": 32, "vocab_size": 60},
    ),
    # Grouped queries; a head wider than its share.
    "llama": ("llama", LLAMA | {"head_dim": 8}),
    "llama, one group": ("llama", LLAMA | {"num_key_value_heads": 4, "attention_bias": True}),
    "llama 3": (
        "llama",
        LLAMA
        | {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            }
        },
    ),
    "mistral": ("mistral", LLAMA | {"sliding_window": None}),
    "qwen2": ("qwen2", LLAMA),
    "qwen3": ("qwen3", LLAMA | {"head_dim": 8}),
}


def built(kind: str) -> Any:
    """A model in float64 of random weights, none of which has its initial value."""
    from transformers import AutoConfig, AutoModelForCausalLM

    name, settings = KINDS[kind]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = AutoConfig.for_model(name, **settings)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
        model = model.double().eval()
        for parameter in model.parameters():
            parameter.data.add_(torch.randn_like(parameter) * 0.05)
    return model


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest) -> tuple[Any, Backbone]:
    model = built(request.param)
    return model, Backbone.from_model(model)


def texts() -> Tensor:
    """Texts of unequal length, which begin alike."""
    tokens = torch.randint(3, 60, (4, 9), generator=torch.Generator().manual_seed(4))
    tokens[:, :2] = torch.tensor([1, 2])
    for row, length in enumerate((4, 7, 7, 9)):
        tokens[row, length:] = PADDING
    return tokens


WORDS = torch.tensor([7, 30, 41])


def logits(model: Any) -> Tensor:
    """Logits of the words after each text, each alone: no padding, no packing."""
    rows = [each[each != PADDING] for each in texts()]
    return torch.stack([model(row[None], use_cache=False).logits[0, -1, WORDS] for row in rows])


def layers_of(model: Any) -> list[Any]:
    body = model.base_model
    return list(body.h if hasattr(body, "h") else body.layers)


def context_keys(layer: Any, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values (groups, vectors, head_dim) of contexts, by the layer's own weights."""
    if hasattr(layer, "attn"):
        own = layer.attn
        _, keys, values = own.c_attn(layer.ln_1(vectors)).chunk(3, dim=-1)
        size = own.head_dim
    else:
        own, normed = layer.self_attn, layer.input_layernorm(vectors)
        keys, values, size = own.k_proj(normed), own.v_proj(normed), own.head_dim
    keys, values = (each.unflatten(-1, (-1, size)).transpose(0, 1) for each in (keys, values))
    return getattr(own, "k_norm", torch.nn.Identity())(keys), values


@contextmanager
def injected(
    layers: list[Any], contexts: dict[int, Tensor], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    running: list[int] = []
    handles = []
    for number, layer in enumerate(layers):
        handles.append(
            layer.register_forward_pre_hook(lambda *_, number=number: running.append(number))
        )
        handles.append(layer.register_forward_hook(lambda *_: running.clear()))
    plain = functional.scaled_dot_product_attention

    def attend(q: Tensor, k: Tensor, v: Tensor, **more: Any) -> Any:
        if not running or running[-1] not in contexts:
            return plain(q, k, v, **more)
        keys, values = context_keys(layers[running[-1]], contexts[running[-1]])
        repeated = q.shape[1] // keys.shape[0]
        k, v = (each.repeat_interleave(q.shape[1] // each.shape[1], dim=1) for each in (k, v))
        keys, values = (each.repeat_interleave(repeated, dim=0)[None] for each in (keys, values))
        seen = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()
        seen = functional.pad(seen, (0, keys.shape[2]), value=True)
        k, v = torch.cat([k, keys], dim=2), torch.cat([v, values], dim=2)
        return plain(q, k, v, attn_mask=seen, scale=more.get("scale"))

    with monkeypatch.context() as patch:
        patch.setattr(functional, "scaled_dot_product_attention", attend)
        yield
    for handle in handles:
        handle.remove()


def near(model: Any) -> float:
    """Norms of Llama's families compute in float32, whatever they are given."""
    return 1e-10 if model.config.model_type == "gpt2" else 1e-5


def classes(model: Any, backbone: Backbone) -> Any:
    return backbone.class_inputs(model.get_output_embeddings().weight[WORDS])


PATHS: tuple[KernelPath, ...] = ("fast", "portable", "reference")


@pytest.mark.parametrize("path", PATHS)
def test_without_contexts_it_is_the_model(case: tuple[Any, Backbone], path: KernelPath) -> None:
    model, backbone = case
    assert (backbone.classes_by, backbone.layers) == ("words", {"image": 0, "text": 3})
    found = PromptedCLIP(backbone, {}, path)(texts(), classes(model, backbone))
    torch.testing.assert_close(found, logits(model), rtol=near(model), atol=near(model))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("path", PATHS)
def test_contexts_are_as_defined(
    case: tuple[Any, Backbone], path: KernelPath, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, backbone = case
    # Small models gain nothing by packing.
    monkeypatch.setattr(packing, "_WORTHWHILE", 0 if packed else 10**9)
    contexts = drawn(backbone, {0: 2, 2: 3})
    vectors = {layer: context.vectors for layer, context in contexts.items()}
    with injected(layers_of(model), vectors, monkeypatch):
        expected = logits(model)
        wanted = torch.autograd.grad(expected.square().sum(), list(vectors.values()))
    found = PromptedCLIP(backbone, {"text": contexts}, path)(texts(), classes(model, backbone))
    torch.testing.assert_close(found, expected, rtol=near(model), atol=near(model))
    given = torch.autograd.grad(found.square().sum(), list(vectors.values()))
    for one, other in zip(given, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=near(model), atol=near(model))
        assert float(other.abs().max()) > 1e-6


def drawn(backbone: Backbone, lengths: dict[int, int], seed: int = 5) -> dict[int, Context]:
    draw = torch.Generator().manual_seed(seed)
    contexts = {}
    for layer, length in lengths.items():
        contexts[layer] = Context(length, backbone.widths["text"]).double()
        contexts[layer].vectors.data = torch.randn(length, 24, generator=draw).double()
    return contexts


@pytest.mark.parametrize("packed", [True, False])
def test_a_stack_gives_what_each_gives_alone(
    case: tuple[Any, Backbone], packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, backbone = case
    monkeypatch.setattr(packing, "_WORTHWHILE", 0 if packed else 10**9)
    lengths: list[dict[int, int]] = [{0: 2}, {1: 1, 2: 2}, {2: 3}]
    models = [
        PromptedCLIP(backbone, {"text": drawn(backbone, each, seed)})
        for seed, each in enumerate(lengths)
    ]
    words = classes(model, backbone)
    expected = [each(texts(), words) for each in models]
    stack = StackedCLIP(models)
    found = [each.logits for each in stack.each_outputs(texts(), words)]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=near(model), atol=near(model))


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (
            "bloom",
            {"hidden_size": 8, "n_layer": 1, "n_head": 2},
            "it is Hugging Face's bloom, none",
        ),
        ("mistral", LLAMA | {"sliding_window": 4}, "its tokens see only the 4 before them"),
        ("gpt2", {"reorder_and_upcast_attn": True, "n_embd": 8, "n_head": 2}, "a way of its own"),
        (
            "llama",
            LLAMA | {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
            r"rotary positions \(dynamic\) depend on the longest text",
        ),
    ],
)
def test_other_decoders_are_refused(kind: str, settings: dict[str, Any], words: str) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings))
    with pytest.raises(BackboneError, match=f"custom cannot carry context vectors: .*{words}"):
        Backbone.from_model(model)


def test_texts_need_positions() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(n_embd=8, n_head=2, n_layer=1, n_positions=6))
    backbone = Backbone.from_model(model)
    with pytest.raises(BackboneError, match=r"texts of at most 6 tokens, .* found 7"):
        backbone.text_inputs_of(torch.ones(2, 7, dtype=torch.long))
