"""The least time of a step: the FLOPs of its matrix products at the machine's best rate.

Counted are the products of an exact step that does nothing twice: linear layers and attention,
forward and backward, with all candidates sharing one attention over the tokens, the text packed
behind a shared prefix, and only the row that is read in the last layer. Weights are frozen, so
they get no gradient; nor does anything below the first layer. Recomputing something to save
memory is not counted, and nothing but matrix products is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone import Backbone
from dpl_nas.space import Tower

__all__ = ["PeakRate", "Rows", "image_rows", "step_flops", "text_rows", "tower_flops"]


@dataclass(frozen=True)
class Rows:
    """What a layer of a tower computes, over the whole batch.

    Attributes
    ----------
    tokens
        Distinct tokens.
    pairs
        Of a token and a token that it sees, itself included.
    read, read_pairs
        The same of the tokens that are read after the last layer.
    """

    tokens: int
    pairs: int
    read: int
    read_pairs: int


def image_rows(images: int, tokens: int) -> Rows:
    """Of images with ``tokens`` each, whose class token is read."""
    return Rows(images * tokens, images * tokens**2, images, images * tokens)


def text_rows(prefix: int, own: Sequence[int]) -> Rows:
    """Of captions that share ``prefix`` tokens and go on with ``own`` ones each, the last read."""
    return Rows(
        tokens=prefix + sum(own),
        pairs=_triangle(prefix) + sum(count * prefix + _triangle(count) for count in own),
        read=len(own),
        read_pairs=sum(prefix + count for count in own),
    )


def _triangle(count: int) -> int:
    return count * (count + 1) // 2


def tower_flops(rows: Rows, *, layers: int, width: int, vectors: int, gradient: bool = True) -> int:
    """FLOPs of the layers of one tower.

    Parameters
    ----------
    vectors
        Context vectors of a layer, over all candidates. Every layer has as many.
    gradient
        Whether the gradients of all contexts and their weights are taken, too. Without it
        the contexts' keys and values are constants.
    """
    total = 0
    for layer in range(layers):
        last = layer == layers - 1
        queries, pairs = (rows.read, rows.read_pairs) if last else (rows.tokens, rows.pairs)
        seen = queries * vectors
        # Keys and values of all tokens; queries, output projection and the MLP (4 times as
        # wide) of those that go on. Then scores and values of tokens and of contexts.
        total += width**2 * (2 * rows.tokens + (1 + 1 + 8) * queries)
        total += 2 * width * (pairs + seen)
        if not gradient:
            continue
        projections = 2 * width**2 * vectors
        total += projections
        # To the contexts: through MLP and output projection, to their values, their shares
        # and their keys, and through their projection.
        total += width**2 * (8 + 1) * queries + 3 * width * seen + projections
        if layer > 0:
            # To the layer below: the queries' part of the contexts' scores, the four products
            # of attention's backward pass, and the projections of queries, keys and values.
            total += width * seen + 4 * width * pairs
            total += width**2 * (queries + 2 * rows.tokens)
    return 2 * total


def step_flops(
    backbone: Backbone,
    tokens: Tensor,
    *,
    images: int,
    vectors: int,
    gradient: bool = True,
    text_share: float = 1.0,
) -> float:
    """FLOPs of one forward (and backward) pass.

    Parameters
    ----------
    tokens
        Captions, ``(classes, context_length)``.
    images
        How many.
    vectors, gradient
        As in :func:`tower_flops`.
    text_share
        The part of the text tower's pass that counts: it may serve several passes.
    """
    visual = backbone.model.visual
    embed, classes = visual.proj.shape[1], len(tokens)
    grid, width = visual.positional_embedding.shape
    rows: dict[Tower, Rows] = {
        "image": image_rows(images, grid),
        "text": text_rows(*shared_prefix(tokens)),
    }
    total: dict[Tower, float] = {}
    for tower, found in rows.items():
        total[tower] = tower_flops(
            found,
            layers=backbone.layers[tower],
            width=backbone.widths[tower],
            vectors=vectors,
            gradient=gradient,
        )
        # The projection to the joint space; its gradient goes back to its input.
        total[tower] += 2 * found.read * backbone.widths[tower] * embed * (1 + gradient)
    patches = 2 * images * (grid - 1) * width * visual.conv1.weight[0].numel()
    # The gradient of the logits goes to both features.
    logits = 2 * images * classes * embed * (1 + 2 * gradient)
    flops: float = patches + total["image"] + text_share * total["text"] + logits
    return flops


def shared_prefix(tokens: Tensor) -> tuple[int, list[int]]:
    """How many first tokens all captions share, and how many each has behind them.

    The end of text is always a caption's own, and nothing behind it counts.
    """
    ends = tokens.argmax(dim=-1)
    same = (tokens == tokens[0]).all(dim=0).long().cumprod(dim=0)
    prefix = min(int(same.sum()), int(ends.min()))
    return prefix, [end + 1 - prefix for end in ends.tolist()]


#: Rows, inputs and outputs of the products that the image tower of ViT-B/16 spends its time in.
SHAPES = ((3152, 768, 2304), (3152, 768, 768), (3152, 768, 3072), (3152, 3072, 768))


class PeakRate:
    """The best rate of float32 matrix products, from timings spread over a run.

    Each shape is multiplied through each of torch's libraries; the best median counts, for a
    floor that one library cannot reach would flatter nobody but the other.

    Parameters
    ----------
    shapes
        Rows, inputs and outputs of each product.
    """

    def __init__(self, shapes: Sequence[tuple[int, int, int]] | None = None) -> None:
        self._products: list[tuple[int, Callable[[], Tensor]]] = []
        for rows, inputs, outputs in shapes or SHAPES:
            x, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
            flops = 2 * rows * inputs * outputs
            self._products += [(flops, product) for product in _products(x, weight)]
        self._seconds: list[list[float]] = [[] for _ in self._products]

    @torch.no_grad()
    def sample(self) -> None:
        """Time every product once more."""
        for (_, product), seconds in zip(self._products, self._seconds, strict=True):
            started = time.perf_counter()
            product()
            seconds.append(time.perf_counter() - started)

    def flops_per_second(self) -> float:
        """The best median so far."""
        return max(
            flops / median(seconds)
            for (flops, _), seconds in zip(self._products, self._seconds, strict=True)
        )


def _products(x: Tensor, weight: Tensor) -> Iterator[Callable[[], Tensor]]:
    bias = torch.zeros(len(weight))
    yield lambda: functional.linear(x, weight, bias)
    yield lambda: torch.matmul(x, weight.T)
    # oneDNN is ahead of MKL on some machines, but torch takes it for float32 only when told.
    onednn = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if onednn is not None and torch.backends.mkldnn.is_available():
        yield lambda: onednn(x, weight, bias, "none", [], "")
