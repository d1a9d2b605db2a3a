"""The interface that a frozen CLIP must implement to carry context vectors.

All other packages use towers through these protocols only. An adapter of another library
is a module beside :mod:`dpl_nas.backbone.open_clip_towers` with the same methods.

Context vectors are additional keys and values of a block: they go through the norm that precedes
its attention, if there is one, and its projections of keys and values, without positional
embedding. Norms of keys apply to them; positions, rotary or relative, do not.
What the context-aware attention itself does is no part of an adapter
(:mod:`dpl_nas.kernels`); it needs keys that queries are compared with by ``q k / sqrt(head_dim)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from torch import Tensor, nn

from dpl_nas.backbone.text import TextInputs
from dpl_nas.space import Tower

__all__ = [
    "Block",
    "ClassesBy",
    "DualEncoder",
    "ImageTower",
    "Projection",
    "TextTower",
    "TowerBlocks",
]

#: What stands for classes: captions of theirs; means of their images' features; words that a
#: language model may go on with.
ClassesBy = Literal["captions", "means", "words"]
#: Queries, keys and values; queries alone; keys and values.
Projection = Literal["qkv", "q", "kv"]


class Block(Protocol):
    """A frozen block, such as ``h = x + attention(norm(x))``, then ``h + mlp(norm2(h))``.

    It offers its parts twice. :meth:`project`, :meth:`project_context` and :meth:`finish` are
    used in training: they are fast and give gradients of their inputs only. :meth:`norm`,
    :meth:`attention`, :meth:`add` and :meth:`run` are the model's own modules, which define the
    result and which the fast ones are tested against.
    """

    @property
    def heads(self) -> int:
        """Number of attention heads."""

    @property
    def inner_norm(self) -> Callable[[Tensor], Tensor] | None:
        """Norm of attention's result, heads joined, before the output projection, if there is one.

        Each candidate of a mixture has it for itself, so :meth:`finish` leaves it out.
        """

    def project(
        self,
        x: Tensor,
        part: Projection = "qkv",
        added: Tensor | None = None,
        places: Tensor | None = None,
    ) -> Tensor:
        """Return queries, keys and values of ``norm(x)``, side by side.

        They include rotary embeddings and norms within heads, if the model has them.

        Parameters
        ----------
        x
            ``(..., width)``.
        part
            The needed ones of the three.
        added
            What is added to the projections ``(..., n * width)``, before positions and norms
            within heads.
        places
            Place ``(tokens,)`` of each token in its text, for rotary positions; by default they
            are in order.

        Returns
        -------
        Tensor
            ``(..., n * width)`` for n of the three, each with its heads concatenated.
        """

    def project_context(self, vectors: Tensor) -> Tensor:
        """Return keys and values ``(vectors, 2 * width)`` of vectors ``(vectors, width)``."""

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Return the block's result: output projection, residual, MLP, residual.

        Parameters
        ----------
        x
            The block's input ``(..., width)`` for the tokens that continue.
        attended
            Attention's result for them, heads joined, after :attr:`inner_norm`.
        """

    def norm(self, x: Tensor) -> Tensor:
        """The norm before attention; what it is given, if there is none."""

    def attention(self, queries: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        """Run the model's own attention, including the output projection.

        Parameters
        ----------
        queries
            ``(batch, tokens, width)``, after :meth:`norm`; they are projected here.
        keys
            ``(batch, tokens + vectors, width)``, after :meth:`norm`; the source of keys and values.
        mask
            Additive mask, ``(tokens, tokens + vectors)`` or anything that broadcasts to
            ``(batch, heads, tokens, tokens + vectors)``; ``None`` for full attention.
        """

    def add(self, x: Tensor, attended: Tensor) -> Tensor:
        """Return the block's result from its input and the result of :meth:`attention`."""

    def run(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Run the whole block, without contexts, as the model does."""


class TowerBlocks(Protocol):
    """The part of the interface that both towers share."""

    @property
    def width(self) -> int:
        """Width of hidden tokens, and so of context vectors."""

    @property
    def blocks(self) -> Sequence[Block]:
        """Blocks from the first layer to the last."""


class ImageTower(TowerBlocks, Protocol):
    """A tower from images to features; in its :attr:`blocks` every token sees every other."""

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, in pixels."""

    @property
    def pools_first(self) -> bool:
        """Whether :meth:`pool` reads the first token only.

        If so, the last block leaves out the others.
        """

    def embed(self, images: Tensor) -> Tensor:
        """Hidden tokens ``(batch, tokens, width)`` of images ``(batch, 3, height, width)``.

        This covers all that precedes the first block, including positions and a norm.
        """

    def enter(self, tokens: Tensor) -> Tensor:
        """Return learned tokens ``(tokens, width)`` as they enter the first block.

        They go through the norm that :meth:`embed` ends with, without positions.
        """

    def pool(self, x: Tensor) -> Tensor:
        """Features ``(batch, embed)`` of the last block's tokens.

        This covers all that follows it: the final norm, pooling and the final projection.
        """


class TextTower(TowerBlocks, Protocol):
    """A tower from captions to features.

    Captions are cut, packed and share their prefix (:mod:`dpl_nas.backbone.packing`) where no
    token sees a later one, as that is exact.
    """

    @property
    def token_table(self) -> Tensor:
        """The embedding of every token, ``(vocabulary, width)``."""

    @property
    def positions(self) -> Tensor:
        """The positional embedding, ``(context_length, width)``."""

    def embed(self, tokens: Sequence[Tensor]) -> TextInputs:
        """Return the input of the first block, and the tokens that make up each feature.

        Parameters
        ----------
        tokens
            ``(classes, context_length)`` for each template. Embeddings are means over templates.
        """

    def mask(self, tokens: int, like: Tensor) -> Tensor | None:
        """Return the additive attention mask ``(tokens, tokens)``, of the type of ``like``.

        It may have relative positions ``(1, heads, tokens, tokens)``. ``None`` if every token sees
        every other and there are none.
        """

    def norm(self, x: Tensor) -> Tensor:
        """The final norm of hidden tokens ``(..., width)``, before they are pooled."""

    def project(self, pooled: Tensor) -> Tensor:
        """Features ``(classes, embed)`` of pooled tokens ``(classes, width)``."""


class DualEncoder(Protocol):
    """Both towers of a frozen CLIP; an image tower alone; or a language model."""

    @property
    def classes_by(self) -> ClassesBy:
        """What stands for classes."""

    @property
    def plain(self) -> Mapping[Tower, str]:
        """Why a tower has no layers that can be searched, if one has none."""

    @property
    def module(self) -> nn.Module:
        """The module of all weights: it is frozen, moved between devices and fingerprinted."""

    @property
    def image(self) -> ImageTower:
        """The image tower."""

    @property
    def text(self) -> TextTower:
        """The text tower."""

    @property
    def logit_scale(self) -> Tensor:
        """The logarithm of the factor on cosine similarities."""

    @property
    def logit_bias(self) -> Tensor | None:
        """What sigmoid models add to all logits; it changes no probability of a soft-max."""
