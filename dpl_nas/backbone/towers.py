"""What a frozen CLIP has to offer to carry context vectors: the adapter between models and us.

Everything above this room knows towers by these protocols alone. An adapter of another library
is a module beside :mod:`dpl_nas.backbone.open_clip_towers` that has the same methods.

Blocks are pre-norm. Context vectors are further keys and values of a block: they go through the
block's own norm and its own projections of keys and values, and no position is added to them.
What the context-aware attention itself does is no part of an adapter
(:mod:`dpl_nas.kernels`); it needs keys that queries are compared with by ``q k / sqrt(head_dim)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from torch import Tensor, nn

from dpl_nas.backbone.text import TextInputs

__all__ = ["Block", "DualEncoder", "ImageTower", "Projection", "TextTower", "TowerBlocks"]

#: Queries, keys and values; queries alone; keys and values.
Projection = Literal["qkv", "q", "kv"]


class Block(Protocol):
    """A frozen block: ``h = x + attention(norm(x))``, then ``h + mlp(norm2(h))``.

    It offers its parts twice. :meth:`project`, :meth:`project_context` and :meth:`finish` are what
    training runs: as fast as can be, with gradients of their inputs alone. :meth:`norm`,
    :meth:`attention`, :meth:`add` and :meth:`run` are the model's own modules, which define the
    result and which the fast ones are tested against.
    """

    @property
    def heads(self) -> int:
        """How many."""

    def project(self, x: Tensor, part: Projection = "qkv") -> Tensor:
        """Queries, keys and values of ``norm(x)``, side by side.

        What a model adds for positions (rotary embeddings) or norms within heads is in them.

        Parameters
        ----------
        x
            ``(..., width)``.
        part
            Those that are needed.

        Returns
        -------
        Tensor
            ``(..., n * width)`` for n of the three, each with its heads one after the other.
        """

    def project_context(self, vectors: Tensor) -> Tensor:
        """Keys and values ``(vectors, 2 * width)`` of context vectors ``(vectors, width)``."""

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """The block's result: output projection, residual, MLP, residual.

        Parameters
        ----------
        x
            The block's input ``(..., width)``, of the tokens that go on.
        attended
            Attention's result for them, heads joined, before the output projection.
        """

    def norm(self, x: Tensor) -> Tensor:
        """The norm before attention."""

    def attention(self, queries: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        """The model's own attention, output projection included.

        Parameters
        ----------
        queries
            ``(batch, tokens, width)``, after :meth:`norm`; they are projected here.
        keys
            ``(batch, tokens + vectors, width)``, likewise: keys and values are made of them.
        mask
            Additive, ``(tokens, tokens + vectors)``; ``None`` where all see all.
        """

    def add(self, x: Tensor, attended: Tensor) -> Tensor:
        """The block's result for its input and what :meth:`attention` gave."""

    def run(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """The whole block, without contexts, as the model runs it."""


class TowerBlocks(Protocol):
    """What both towers have."""

    @property
    def width(self) -> int:
        """Of hidden tokens, and so of context vectors."""

    @property
    def blocks(self) -> Sequence[Block]:
        """From the first layer to the last."""


class ImageTower(TowerBlocks, Protocol):
    """Images to features, by way of :attr:`blocks` in which every token sees every other."""

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, in pixels."""

    @property
    def pools_first(self) -> bool:
        """Whether :meth:`pool` reads the first token alone.

        The last block then leaves out the others.
        """

    def embed(self, images: Tensor) -> Tensor:
        """Hidden tokens ``(batch, tokens, width)`` of images ``(batch, 3, height, width)``.

        All that comes before the first block, positions and a norm included.
        """

    def pool(self, x: Tensor) -> Tensor:
        """Features ``(batch, embed)`` of the last block's tokens.

        All that comes after it: the final norm, pooling and the final projection.
        """


class TextTower(TowerBlocks, Protocol):
    """Captions to features.

    Captions are cut, packed and share their beginnings (:mod:`dpl_nas.backbone.packing`), which
    is exact where no token sees a later one.
    """

    @property
    def token_table(self) -> Tensor:
        """The embedding of every token, ``(vocabulary, width)``."""

    def embed(self, tokens: Sequence[Tensor]) -> TextInputs:
        """What comes before the first block, and which tokens a feature is made of.

        Parameters
        ----------
        tokens
            For each template ``(classes, context_length)``. Embeddings are means over templates.
        """

    def mask(self, tokens: int, like: Tensor) -> Tensor:
        """Which tokens see which: additive, ``(tokens, tokens)``, of the type of ``like``."""

    def norm(self, x: Tensor) -> Tensor:
        """The final norm of hidden tokens ``(..., width)``, before they are pooled."""

    def project(self, pooled: Tensor) -> Tensor:
        """Features ``(classes, embed)`` of pooled tokens ``(classes, width)``."""


class DualEncoder(Protocol):
    """Both towers of a frozen CLIP."""

    @property
    def module(self) -> nn.Module:
        """What holds all weights: it is frozen, moved between devices, and identified by them."""

    @property
    def image(self) -> ImageTower:
        """The image tower."""

    @property
    def text(self) -> TextTower:
        """The text tower."""

    @property
    def logit_scale(self) -> Tensor:
        """The logarithm of what cosines are multiplied by.

        A bias that is added to all logits alike changes no probability, and is left out.
        """
