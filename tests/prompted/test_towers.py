"""A tower of another library, behind the same protocols: what an adapter has to bring."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import open_clip
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from dpl_nas.backbone import Backbone
from dpl_nas.backbone.towers import ClassesBy, ImageTower, Projection, TextTower
from dpl_nas.config import InitSettings
from dpl_nas.kernels import KernelPath
from dpl_nas.prompted import Context, ContextCandidates, PromptedCLIP, initialise
from dpl_nas.space import Tower

CAPTIONS = ["a photo of a dog.", "a cat"]


class TimmBlock:
    """A block of timm's ``VisionTransformer``."""

    def __init__(self, block: Any) -> None:
        self._block = block
        self.heads = block.attn.num_heads

    def project(
        self,
        x: Tensor,
        part: Projection = "qkv",
        added: Tensor | None = None,
        places: Tensor | None = None,
    ) -> Tensor:
        del places
        projected = self._projected(self.norm(x), part)
        return projected if added is None else projected + added

    def project_context(self, vectors: Tensor) -> Tensor:
        return self._projected(self.norm(vectors), "kv")

    inner_norm = None

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        return self.add(x, self._block.attn.proj(attended))

    def norm(self, x: Tensor) -> Tensor:
        return self._block.norm1(x)

    def attention(self, queries: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        q = self._split(self._projected(queries, "q"))
        k, v = (self._split(part) for part in self._projected(keys, "kv").chunk(2, dim=-1))
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self._block.attn.proj(mixed.transpose(1, 2).flatten(2))

    def add(self, x: Tensor, attended: Tensor) -> Tensor:
        h = x + self._block.ls1(attended)
        return h + self._block.ls2(self._block.mlp(self._block.norm2(h)))

    def run(self, x: Tensor, mask: Tensor | None) -> Tensor:
        assert mask is None
        return self._block(x)

    def _projected(self, x: Tensor, part: Projection) -> Tensor:
        qkv, width = self._block.attn.qkv, x.shape[-1]
        rows = {"qkv": slice(None), "q": slice(width), "kv": slice(width, None)}[part]
        return functional.linear(x, qkv.weight[rows], qkv.bias[rows])

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class TimmImage:
    """timm's ``VisionTransformer``."""

    def __init__(self, model: VisionTransformer) -> None:
        self._model = model
        self.width = model.embed_dim
        self.blocks = tuple(TimmBlock(block) for block in model.blocks)
        self.image_size = model.patch_embed.img_size
        self.pools_first = model.global_pool == "token"

    def embed(self, images: Tensor) -> Tensor:
        return self._model.norm_pre(self._model._pos_embed(self._model.patch_embed(images)))

    def enter(self, tokens: Tensor) -> Tensor:
        return self._model.norm_pre(tokens)

    def pool(self, x: Tensor) -> Tensor:
        # The last block may have left but the first token, which is all that is read then.
        return self._model.forward_head(self._model.norm(x))


@dataclass(frozen=True)
class Mixed:
    """timm's image tower beside the text tower of open_clip."""

    module: nn.Module
    image: ImageTower
    text: TextTower
    logit_scale: Tensor
    logit_bias: Tensor | None = None
    plain: Mapping[Tower, str] = field(default_factory=dict)
    classes_by: ClassesBy = "captions"


@pytest.fixture(params=["token", "map", "avg"])
def mixed(
    request: pytest.FixtureRequest, make_backbone: Callable[..., Backbone]
) -> tuple[Backbone, VisionTransformer]:
    texts = make_backbone()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VisionTransformer(
            img_size=24,
            patch_size=8,
            embed_dim=32,
            depth=3,
            num_heads=4,
            num_classes=12 if request.param == "token" else 0,
            class_token=request.param == "token",
            global_pool=request.param,
            init_values=0.5 if request.param == "avg" else None,
        )
        for parameter in model.parameters():
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    if request.param != "token":
        # As SigLIP does, features are the pooled tokens; both towers need the same size.
        model.head = nn.Linear(32, 12)
    model.double()
    module = nn.ModuleList([model, texts.model])
    backbone = Backbone(
        Mixed(module, TimmImage(model), texts.text, texts.logit_scale),
        name="mixed",
        precision="fp32",
        preprocess=lambda image: torch.zeros(3, 24, 24),
        tokenize=open_clip.SimpleTokenizer(context_length=20),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
    return backbone, model


def pictures() -> Tensor:
    return torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(3)).double()


def test_without_vectors_it_is_the_model(mixed: tuple[Backbone, VisionTransformer]) -> None:
    backbone, model = mixed
    assert backbone.layers == {"image": 3, "text": 2}
    assert backbone.widths == {"image": 32, "text": 16}
    assert backbone.image_size == 24
    assert not any(parameter.requires_grad for parameter in model.parameters())
    for path in ("fast", "reference"):
        found = PromptedCLIP(backbone, {}, path).encode_image(pictures())
        torch.testing.assert_close(found, model(pictures()), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("path", ["fast", "portable"])
def test_contexts_are_as_defined(
    mixed: tuple[Backbone, VisionTransformer], path: KernelPath
) -> None:
    backbone, _ = mixed
    outcomes = []
    for each in (path, "reference"):
        contexts: dict[Tower, dict[int, nn.Module]] = {
            "image": {0: ContextCandidates.separate([0, 2, 3], 32), 2: Context(4, 32)},
            "text": {1: Context(2, 16)},
        }
        model = PromptedCLIP(backbone, contexts, each).double()
        initialise(model, InitSettings(scale=1.0), torch.Generator().manual_seed(1))
        logits = model(pictures(), backbone.text_inputs(CAPTIONS))
        gradients = torch.autograd.grad(logits.sin().sum(), list(model.parameters()))
        assert all(bool(gradient.any()) for gradient in gradients)
        outcomes.append([logits.detach(), *gradients])
    for found, expected in zip(*outcomes, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)
