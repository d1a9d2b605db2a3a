"""What is timed: cases, their inputs, and one step of each side."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import product
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.floor import step_flops
from benchmarks.published import PublishedCLIP
from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.backbone_config import Precision
from dpl_nas.config import InitSettings
from dpl_nas.prompted import Context, ContextCandidates, PromptedCLIP, initialise
from dpl_nas.seeds import derive_seed
from dpl_nas.space import TOWERS, BackboneConfig, Tower
from dpl_nas.training.evaluation import Classifier

__all__ = [
    "CASES",
    "IMAGES",
    "TEST_BATCHES",
    "Case",
    "Part",
    "Phase",
    "Workload",
    "backbone_config",
    "backbone_of",
    "class_names",
]

Phase = Literal["search", "train", "evaluate"]
Step = Callable[[], None]

#: OpenAI's weights, which the packaged space asks for, have QuickGELU.
_BACKBONES = {
    "mini_clip": BackboneConfig(),
    "vit_b16": BackboneConfig(model="ViT-B-16-quickgelu", pretrained="random"),
    "vit_l14": BackboneConfig(model="ViT-L-14-quickgelu", pretrained="random"),
}
#: Images a step as published; a search step is an alpha step and a prompt step.
IMAGES: dict[Phase, tuple[int, ...]] = {"search": (16, 4), "train": (4,), "evaluate": (100,)}
#: Batches of a test set that one computation of the class text features serves: 2500 images,
#: as in Oxford Flowers 102.
TEST_BATCHES = 25
TEMPLATE = "a photo of a {}."


@dataclass(frozen=True)
class Case:
    """A row of the table."""

    model: str
    phase: Phase
    classes: int
    max_length: int

    @property
    def lengths(self) -> tuple[int, ...]:
        """The candidates of every layer: all up to the longest, or only that one."""
        if self.phase == "search":
            return tuple(range(self.max_length + 1))
        return (self.max_length,)

    @property
    def gradient(self) -> bool:
        """Whether there is a backward pass."""
        return self.phase != "evaluate"

    def __str__(self) -> str:
        return f"{self.model},{self.phase},{self.classes},{self.max_length}"


#: Those of a CPU.
CASES = tuple(
    Case(*fields)
    for fields in product(("mini_clip", "vit_b16"), get_args(Phase), (10, 100, 1000), (2, 6, 16))
)


@cache
def backbone_of(model: str, precision: Precision = "fp32", device: str = "cpu") -> Backbone:
    """The frozen CLIP of a case; those of ViT have random weights."""
    return load_backbone(backbone_config(model).model_copy(update={"precision": precision}), device)


def backbone_config(model: str) -> BackboneConfig:
    """The configuration of the frozen CLIP of a case."""
    return _BACKBONES[model]


@cache
def _words() -> tuple[str, ...]:
    """Words that are one token of CLIP's vocabulary each."""
    from open_clip import SimpleTokenizer

    tokenizer = SimpleTokenizer()
    ending = "</w>"
    words = (token.removesuffix(ending) for token in tokenizer.encoder if token.endswith(ending))
    return tuple(word for word in words if word.isascii() and word.isalpha() and len(word) > 2)


def class_names(count: int, seed: int = 1) -> list[str]:
    """Made-up names of 1 to 5 tokens, each number as often as the others."""
    draw = random.Random(derive_seed(seed, "class names"))
    return [" ".join(draw.choices(_words(), k=draw.randint(1, 5))) for _ in range(count)]


@dataclass(frozen=True)
class Part:
    """Something to time, and how it counts in the whole.

    A slice of layers is extrapolated from two depths, of which one counts negatively.

    Attributes
    ----------
    run
        Does it.
    share
        By which its memory is multiplied, and its seconds, too.
    passes
        By which its seconds are multiplied besides: passes that are alike are timed once.
    """

    run: Callable[[], object]
    share: float = 1.0
    passes: int = 1


@dataclass(frozen=True)
class Workload:
    """Inputs of a case, and the steps that are timed on them.

    Attributes
    ----------
    names
        Of the classes; made up by default.
    images
        A step's batches; as published by default.
    """

    case: Case
    backbone: Backbone
    names: Sequence[str] = ()
    images: Sequence[int] = ()
    _generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(1))

    @cached_property
    def tokens(self) -> Tensor:
        """Captions (classes, context_length)."""
        names = self.names or class_names(self.case.classes)
        tokens = self.backbone.tokenize([TEMPLATE.format(name) for name in names])
        return tokens.to(self.backbone.device)

    @cached_property
    def batches(self) -> list[tuple[Tensor, Tensor]]:
        """Images and labels of every pass of a step."""
        size, device = self.backbone.image_size, self.backbone.device
        return [
            (
                torch.randn(count, 3, size, size, generator=self._generator).to(device),
                torch.randint(len(self.tokens), (count,), generator=self._generator).to(device),
            )
            for count in self.images or IMAGES[self.case.phase]
        ]

    def contexts(self) -> dict[Tower, dict[int, nn.Module]]:
        """Contexts at every layer of both towers, drawn from the same seed every time."""
        generator = torch.Generator().manual_seed(2)
        contexts: dict[Tower, dict[int, nn.Module]] = {}
        for tower in TOWERS:
            layers = range(self.backbone.layers[tower])
            contexts[tower] = {layer: self._context(tower) for layer in layers}
            for module in contexts[tower].values():
                initialise(module, InitSettings(), generator)
                module.to(self.backbone.device)
        return contexts

    def _context(self, tower: Tower) -> nn.Module:
        width = self.backbone.widths[tower]
        if self.case.phase == "search":
            return ContextCandidates.separate(self.case.lengths, width)
        return Context(self.case.max_length, width)

    def ours(self, path: str | None = None) -> list[Part]:
        """A step as dpl_nas does it, by the default path of its kernels or by another."""
        chosen = {} if path is None else {"path": path}
        model = PromptedCLIP(self.backbone, self.contexts(), **chosen)  # type: ignore[arg-type]
        text = self.backbone.text_inputs_of(self.tokens)
        if self.case.gradient:
            return [Part(self._learning(model, text))]
        encode_text = torch.no_grad()(model.encode_text)
        classifier = Classifier(model, encode_text(text))
        return [
            Part(lambda: [classifier.predict(images) for images, _ in self.batches]),
            Part(lambda: encode_text(text), 1 / TEST_BATCHES),
        ]

    def published(self) -> list[Part]:
        """The same step as published; a test does the class text features with every batch."""
        model = PublishedCLIP(self.backbone, self.contexts())
        if self.case.gradient:
            return [Part(self._learning(model, self.tokens))]
        predict = torch.no_grad()(model)
        return [Part(lambda: [predict(images, self.tokens) for images, _ in self.batches])]

    def _learning(self, model: nn.Module, text: object) -> Step:
        """Every pass takes the gradients of contexts and alphas, as NNI's DARTS does."""

        def step() -> None:
            for images, labels in self.batches:
                model.zero_grad()
                functional.cross_entropy(model(images, text), labels).backward()

        return step

    def published_tower(self, tower: Tower, layers: int, classes: int) -> Step:
        """The published step in a tower's first layers; of the text tower, one pass."""
        model = PublishedCLIP(self.backbone, self.contexts(), layers)
        encode = model.encode_image if tower == "image" else model.encode_text
        images = [batch for batch, _ in self.batches]
        inputs = images if tower == "image" else [self.tokens[:classes]]

        def step() -> None:
            with torch.set_grad_enabled(self.case.gradient):
                for batch in inputs:
                    model.zero_grad()
                    features = encode(batch)
                    if self.case.gradient:
                        # Some gradient that reaches every feature.
                        features.sin().sum().backward()

        return step

    def flops(self) -> float:
        """Of the matrix products in our step."""
        case = self.case
        return sum(
            step_flops(
                self.backbone,
                self.tokens,
                images=len(images),
                vectors=sum(case.lengths),
                gradient=case.gradient,
                text_share=1.0 if case.gradient else 1 / TEST_BATCHES,
            )
            for images, _ in self.batches
        )
