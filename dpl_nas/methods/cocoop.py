"""Learned words before the class name that an image shifts."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from dpl_nas.backbone import Backbone, TextInputs
from dpl_nas.config import TrainSettings
from dpl_nas.kernels import KernelPath
from dpl_nas.methods.method import Scorer
from dpl_nas.methods.token_method import TokenMethod
from dpl_nas.methods.tokens import TokenCLIP, after_start, drawn_linear
from dpl_nas.methods.towers import coop_recipe
from dpl_nas.prompted import AdaptedCLIP, ImageStates, Outputs
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Tower

__all__ = ["CoCoOp", "ConditionalCLIP"]

#: The hidden layer of the net has this part of the features' size.
_BOTTLENECK = 16


class ConditionalCLIP(TokenCLIP):
    """Tokens of the text tower's first layer, shifted by a small net of the image's features.

    The net is linear, ReLU, linear (section 3.2). Class features are those of an image, so
    ``text_features`` of its outputs are (batch, classes, embed).
    """

    def __init__(
        self,
        backbone: Backbone,
        length: int,
        seed: int,
        words: str = "",
        path: KernelPath = "fast",
    ) -> None:
        super().__init__(backbone, {"text": {0: length}}, seed, words, path)
        embed = int(backbone.text.project(backbone.text.token_table[:1]).shape[1])
        sizes = (embed, max(1, embed // _BOTTLENECK), backbone.widths["text"])
        generator = torch.Generator().manual_seed(derive_seed(seed, "net"))
        self.net = nn.Sequential(
            drawn_linear(sizes[0], sizes[1], generator),
            nn.ReLU(),
            drawn_linear(sizes[1], sizes[2], generator),
        )

    def outputs(self, images: Tensor | ImageStates, text: TextInputs) -> Outputs:
        """Return logits of ``images``, each for class features of its own."""
        image_features = self.encode_image(images)
        tokens = self.own("text")[0]
        shifts = self.net(functional.normalize(image_features.to(tokens.dtype), dim=-1))
        shifted = after_start(self.backbone, tokens + shifts[:, None])
        text_features = self.encode_text_of_each(text, {0: shifted})
        logits = self.logits(image_features[:, None], text_features).squeeze(1)
        return Outputs(image_features, text_features, logits)


class CoCoOp(TokenMethod):
    """Conditional context optimization: 4 tokens, shifted for each image."""

    title: ClassVar[str] = "CoCoOp"
    paper: ClassVar[str] = "Zhou et al. 2022 (arXiv 2203.05557)"
    towers: ClassVar[tuple[Tower, ...]] = ("text",)

    searched: ClassVar[bool] = False

    words: str = "a photo of a"
    depth: int = Field(default=1, ge=1, le=1)
    lengths: None = None

    def published(self, shots: int, images: int) -> TrainSettings:
        """Return 10 epochs, an image at a time."""
        del shots, images
        return coop_recipe(lr=2e-3, epochs=10, batch_size=1)

    def model(self, backbone: Backbone, seed: int) -> AdaptedCLIP:
        """Return the model, with a net that is drawn and tokens that start as words."""
        return ConditionalCLIP(backbone, self.length, seed, self.words)

    def answering(self, model: AdaptedCLIP, text: TextInputs) -> Scorer:
        """Return a trained model in use; class features are computed for each image."""
        return _ConditionalScorer(model, text)


class _ConditionalScorer:
    def __init__(self, model: AdaptedCLIP, text: TextInputs) -> None:
        self._model, self._text = model, text

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Return logits (batch, classes) of preprocessed images."""
        found: Tensor = self._model(images, self._text)
        return found

    def predict(self, images: Tensor) -> Tensor:
        """Return the class index (batch,) of the same."""
        return self.logits(images).argmax(dim=-1)
