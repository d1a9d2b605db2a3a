"""Steps on towers of other families, beside the plain definition.

The plain definition is the reference path: every token of every caption and image through all
layers, each candidate's attention on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import open_clip
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.measure import interleaved
from benchmarks.workload import TEMPLATE, Part, class_names
from dpl_nas.backbone import Backbone, TextInputs
from dpl_nas.backbone.decoders import PADDING
from dpl_nas.backbone_config import TIMM
from dpl_nas.config import InitSettings
from dpl_nas.kernels import KernelPath
from dpl_nas.prompted import Context, ContextCandidates, PromptedCLIP, initialise
from dpl_nas.space import TOWERS, Tower

__all__ = ["FAMILIES", "FamilyRow", "FamilyStep", "measure_families", "random_backbone"]

#: Names of models, by what is special about each.
FAMILIES = {
    "SigLIP 2": "ViT-B-16-SigLIP2-256",
    "EVA-02": "EVA02-B-16",
    "PE-Core": "PE-Core-B-16",
    "CLIPA": "ViT-L-14-CLIPA",
    "images alone": "timm:vit_small_patch16_224",
    "decoder": "gpt2",
}
#: Images, or texts of so many tokens, of a step.
IMAGES, TOKENS = 4, 128
_CLIP_VOCABULARY = 49408


@dataclass(frozen=True)
class FamilyRow:
    """Seconds of a step, forward and backward, without the optimizer."""

    family: str
    model: str
    phase: str
    classes: int
    length: int
    plain_s: float
    ours_s: float
    ratio: float
    repeats: int


def random_backbone(name: str) -> Backbone:
    """Return a model with random weights, without its tokenizer.

    It is one of open_clip, one of timm, or GPT-2 small.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: nn.Module
        if name.startswith(TIMM):
            model = timm.create_model(name.removeprefix(TIMM), num_classes=0)
        elif name == FAMILIES["decoder"]:
            from transformers import GPT2Config, GPT2LMHeadModel

            model = GPT2LMHeadModel(GPT2Config())
        else:
            model = open_clip.create_model(name, pretrained=None)
    return Backbone.from_model(model, name=name)


class FamilyStep:
    """A step of both paths, with the same contexts, images and labels.

    Parameters
    ----------
    lengths
        Candidates of every layer; one length for a training.
    """

    def __init__(self, backbone: Backbone, classes: int, lengths: Sequence[int]) -> None:
        draw = torch.Generator().manual_seed(1)
        contexts: dict[Tower, dict[int, nn.Module]] = {}
        for tower in TOWERS:
            width = backbone.widths[tower]
            contexts[tower] = {
                layer: Context(lengths[0], width)
                if len(lengths) == 1
                else ContextCandidates.separate(tuple(lengths), width)
                for layer in range(backbone.layers[tower])
            }
            for module in contexts[tower].values():
                initialise(module, InitSettings(), draw)
        self._text = _classes(backbone, classes, draw)
        self._images = _inputs(backbone, draw)
        self._labels = torch.randint(classes, (IMAGES,), generator=draw)
        paths: tuple[KernelPath, ...] = ("reference", "fast")
        self.models = {path: PromptedCLIP(backbone, contexts, path) for path in paths}

    def run(self, path: KernelPath) -> Tensor:
        """Return the loss; gradients are left in the model."""
        model = self.models[path]
        model.zero_grad()
        loss = functional.cross_entropy(model(self._images, self._text), self._labels)
        loss.backward()
        return loss.detach()


def _classes(backbone: Backbone, classes: int, draw: torch.Generator) -> TextInputs:
    """What stands for the classes."""
    if backbone.classes_by == "captions":
        return backbone.text_inputs_of(_captions(backbone, classes, draw))
    return backbone.class_inputs(torch.randn(classes, backbone.widths["text"], generator=draw))


def _inputs(backbone: Backbone, draw: torch.Generator) -> Tensor:
    """Images; of a language model, texts that begin alike and have unequal lengths."""
    if backbone.classes_by != "words":
        size = backbone.image_size
        return torch.randn(IMAGES, 3, size, size, generator=draw)
    tokens = torch.randint(len(backbone.text.token_table), (IMAGES, TOKENS), generator=draw)
    tokens[:, : TOKENS // 8] = tokens[0, : TOKENS // 8]
    for row in range(IMAGES):
        tokens[row, TOKENS * (IMAGES + row + 1) // (2 * IMAGES) :] = PADDING
    return tokens


def _captions(backbone: Backbone, classes: int, draw: torch.Generator) -> Tensor:
    """Captions of made-up names; of unknown tokenizers, random tokens as many as there is room."""
    vocabulary, room = len(backbone.text.token_table), len(backbone.text.positions)
    if vocabulary == _CLIP_VOCABULARY:
        tokenizer = open_clip.SimpleTokenizer(context_length=room)
        return tokenizer([TEMPLATE.format(name) for name in class_names(classes)])
    return torch.randint(1, vocabulary, (classes, room), generator=draw)


def measure_families(
    families: Sequence[str],
    classes: int,
    length: int,
    repeats: int,
    told: Callable[[FamilyRow], object],
) -> list[FamilyRow]:
    """Time both paths of each family in turns; medians."""
    rows = []
    for family in families:
        name = FAMILIES[family]
        backbone = random_backbone(name)
        for phase, lengths in (("search", range(length + 1)), ("train", (length,))):
            step = FamilyStep(backbone, classes, tuple(lengths))
            plain, ours = interleaved(
                [[Part(partial(step.run, "reference"))], [Part(partial(step.run, "fast"))]],
                repeats,
            )
            row = FamilyRow(
                family, name, phase, classes, length, plain, ours, plain / ours, repeats
            )
            rows.append(row)
            told(row)
    return rows
