"""A block of any family, put together from its parts: norms, projections, what acts on heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpl_nas.backbone.towers import Projection
from dpl_nas.kernels import frozen_linear, frozen_mlp

__all__ = ["Attention", "Linear", "Order", "PartsBlock"]

#: Where the norms of a block are. ``pre``: ``h = x + attention(norm1(x))``, then
#: ``h + mlp(norm2(h))``. ``branch``: ``h = x + norm1(attention(x))``, then ``h + norm2(mlp(h))``.
#: ``post``: ``h = norm1(x + attention(x))``, then ``norm2(h + mlp(h))``.
Order = Literal["pre", "branch", "post"]

_ACT = Callable[[Tensor], Tensor]
#: From heads (..., heads, tokens, head_dim), and the places of the tokens in their text.
Rotate = Callable[[Tensor, "Tensor | None"], Tensor]


@dataclass(frozen=True)
class Linear:
    """A frozen linear map; biases of several parts may lie in several tensors.

    Attributes
    ----------
    weight
        ``(out_features, in_features)``.
    biases
        Side by side ``(out_features,)``; empty for none.
    """

    weight: Callable[[], Tensor]
    biases: Callable[[], tuple[Tensor, ...]]

    @classmethod
    def of(cls, module: nn.Linear) -> Linear:
        """Return the map of a module, wherever that is moved to."""
        return cls(lambda: module.weight, lambda: () if module.bias is None else (module.bias,))

    def __call__(self, x: Tensor, rows: slice = slice(None)) -> Tensor:
        """Return ``(..., rows)`` of inputs ``(..., in_features)``; some of the rows."""
        found = self.biases()
        bias = None if not found else (found[0] if len(found) == 1 else torch.cat(found))[rows]
        return frozen_linear(x, self.weight()[rows], bias)


@dataclass(frozen=True)
class Attention:
    """The attention of a block, apart from the comparison of queries and keys.

    Attributes
    ----------
    heads
        Number of heads of queries; of keys and values a divisor of it, ``groups`` to one.
    projections
        Those of queries, keys and values: one with the rows of all three, or three.
    query_norm, key_norm
        Norms within heads.
    rotate
        What positions do to queries or keys ``(..., heads, tokens, head_dim)``, from the place
        ``(tokens,)`` of each; ``None`` for the order in which they are.
    scale
        Factor of scores, where it is not ``1 / sqrt(head_dim)``.
    inner_norm
        Norm of the result, heads joined, before the output.
    gate
        Factor of what follows from it, ``gate(normed)`` of the normed inputs.
    out
        Output projection.
    """

    heads: int
    projections: tuple[Linear, ...]
    out: Linear
    query_norm: _ACT | None = None
    key_norm: _ACT | None = None
    rotate: Rotate | None = None
    scale: float | None = None
    groups: int = 1
    inner_norm: _ACT | None = None
    gate: _ACT | None = None

    def raw(self, normed: Tensor, part: Projection) -> Tensor:
        """Return the needed parts side by side, before anything acts on heads."""
        if len(self.projections) == 1:
            (whole,) = self.projections
            size = len(whole.weight()) // 3
            rows = {"qkv": slice(None), "q": slice(size), "kv": slice(size, None)}[part]
            return whole(normed, rows)
        needed = {"qkv": slice(0, 3), "q": slice(0, 1), "kv": slice(1, 3)}[part]
        return torch.cat([each(normed) for each in self.projections[needed]], dim=-1)

    def parts(self, raw: Tensor, part: Projection) -> tuple[Tensor, ...]:
        """Split what :meth:`raw` returned into its parts; keys and values may be smaller."""
        shares = {"qkv": (self.groups, 1, 1), "q": (1,), "kv": (1, 1)}[part]
        unit = raw.shape[-1] // sum(shares)
        found: tuple[Tensor, ...] = raw.split([unit * share for share in shares], dim=-1)
        return found

    def split(
        self,
        raw: Tensor,
        name: Literal["q", "k", "v"],
        *,
        placed: bool,
        places: Tensor | None = None,
    ) -> Tensor:
        """Return heads ``(batch, heads, tokens, head_dim)`` as scores compare them.

        Parameters
        ----------
        placed
            Whether the tokens have positions; contexts have none.
        places
            Place of each token, if they are not in order.
        """
        heads = self.heads if name == "q" else self.heads // self.groups
        x: Tensor = raw.unflatten(-1, (heads, -1)).transpose(-2, -3)
        norm = {"q": self.query_norm, "k": self.key_norm, "v": None}[name]
        if norm is not None:
            x = norm(x)
        if placed and self.rotate is not None and name != "v":
            x = self.rotate(x, places)
        if name == "q" and self.scale is not None:
            x = x * (self.scale * x.shape[-1] ** 0.5)
        if name == "q" or self.groups == 1:
            return x
        return x.repeat_interleave(self.groups, dim=-3)

    @property
    def plain(self) -> bool:
        """Whether projections are compared as they are."""
        return (
            self.query_norm is None
            and self.key_norm is None
            and self.rotate is None
            and self.scale is None
            and self.groups == 1
        )


class PartsBlock:
    """A :class:`~dpl_nas.backbone.towers.Block` of parts.

    Parameters
    ----------
    attention
        Its attention.
    norm1, norm2
        Norms around attention and the MLP.
    mlp
        The MLP, without norm and residual.
    whole
        The block as its library runs it, without contexts: from tokens and mask; by default it is
        computed from the parts.
    order
        Where the norms are.
    scale1, scale2
        Layer scales; ``None`` for none.
    """

    def __init__(
        self,
        attention: Attention,
        *,
        norm1: _ACT,
        norm2: _ACT,
        mlp: _ACT,
        whole: Callable[[Tensor, Tensor | None], Tensor] | None = None,
        order: Order = "pre",
        scale1: _ACT | None = None,
        scale2: _ACT | None = None,
    ) -> None:
        self._attention = attention
        self._norm1, self._norm2, self._mlp = norm1, norm2, mlp
        self._whole, self._order = whole, order
        self._scale1, self._scale2 = scale1, scale2
        self.heads = attention.heads
        self.inner_norm = attention.inner_norm

    def project(
        self,
        x: Tensor,
        part: Projection = "qkv",
        added: Tensor | None = None,
        places: Tensor | None = None,
    ) -> Tensor:
        """Project the tokens; norms within heads, positions and groups included."""
        raw = self._attention.raw(self.norm(x), part)
        if added is not None:
            raw = raw + added
        plain = self._attention.plain
        return raw if plain else self._joined(raw, part, placed=True, places=places)

    def project_context(self, vectors: Tensor) -> Tensor:
        """Keys and values ``(vectors, 2 * heads * head_dim)``, without positions."""
        return self._joined(self._attention.raw(self.norm(vectors), "kv"), "kv", placed=False)

    def _joined(
        self, raw: Tensor, part: Projection, *, placed: bool, places: Tensor | None = None
    ) -> Tensor:
        heads = [
            self._attention.split(one, name, placed=placed, places=places)
            for one, name in zip(self._attention.parts(raw, part), _NAMES[part], strict=True)
        ]
        return torch.cat([each.transpose(-2, -3).flatten(-2) for each in heads], dim=-1)

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Apply the output projection, the MLP, and norms and residuals in their order."""
        return self.add(x, self._out(attended, x))

    def norm(self, x: Tensor) -> Tensor:
        """What precedes attention: the norm, or nothing."""
        if self._order != "pre":
            return x
        normed: Tensor = self._norm1(x.to(_dtype(self._norm1, x)))
        return normed

    def attention(self, queries: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        """Attend in plain operations, including the output projection."""
        attention, tokens = self._attention, queries.shape[1]
        q = attention.split(attention.raw(queries, "q"), "q", placed=True)
        parts, both = [], attention.parts(attention.raw(keys, "kv"), "kv")
        for raw, name in zip(both, _NAMES["kv"], strict=True):
            # What follows the tokens are contexts.
            own = attention.split(raw[:, :tokens], name, placed=True)
            more = attention.split(raw[:, tokens:], name, placed=False)
            parts.append(torch.cat([own, more], dim=-2))
        k, v = parts
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        joined = mixed.transpose(1, 2).flatten(2)
        return self._after(joined if self.inner_norm is None else self.inner_norm(joined), queries)

    def add(self, x: Tensor, attended: Tensor) -> Tensor:
        """Apply residuals, norms, layer scales and the MLP in their order."""
        if self._order == "post":
            h: Tensor = self._norm1(x + attended)
            post: Tensor = self._norm2(h + self._mlp(h))
            return post
        if self._order == "branch":
            attended = self._norm1(attended)
        h = x + (attended if self._scale1 is None else self._scale1(attended))
        if self._order == "branch":
            branch: Tensor = self._norm2(self._mlp(h))
            return h + (branch if self._scale2 is None else self._scale2(branch))
        return _with_mlp(self._mlp, self._norm2, self._scale2, h)

    def run(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Run the whole block as its library does."""
        if self._whole is not None:
            return self._whole(x, mask)
        normed = self.norm(x)
        return self.add(x, self.attention(normed, normed, mask))

    def _out(self, attended: Tensor, x: Tensor) -> Tensor:
        return self._after(attended, x if self._attention.gate is None else self.norm(x))

    def _after(self, attended: Tensor, normed: Tensor) -> Tensor:
        attention = self._attention
        if attention.gate is not None:
            attended = attended * attention.gate(normed)
        return attention.out(attended)


_NAMES: dict[Projection, tuple[Literal["q", "k", "v"], ...]] = {
    "qkv": ("q", "k", "v"),
    "q": ("q",),
    "kv": ("k", "v"),
}


def _dtype(norm: _ACT, x: Tensor) -> torch.dtype:
    """The type that a norm takes: contexts are wider than weights of low precision."""
    weight = getattr(norm, "weight", None)
    return x.dtype if weight is None else weight.dtype


def _with_mlp(mlp: _ACT, norm: _ACT, scale: _ACT | None, h: Tensor) -> Tensor:
    """Return ``h + scale(mlp(norm(h)))``; two linear maps with GELU between are fused."""
    first, last, act = (getattr(mlp, name, None) for name in ("fc1", "fc2", "act"))
    normed: Tensor = norm(h)
    if (
        scale is None
        and isinstance(first, nn.Linear)
        and isinstance(last, nn.Linear)
        and isinstance(act, nn.GELU)
        and act.approximate == "none"
        and first.bias is not None
        and last.bias is not None
        and isinstance(getattr(mlp, "norm", None) or nn.Identity(), nn.Identity)
        and first.out_features == last.in_features
        and h.dtype == first.weight.dtype
        and h.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled(h.device.type)
    ):
        return frozen_mlp(
            normed, first.weight, first.bias, last.weight, last.bias, "gelu", residual=h
        )
    result: Tensor = mlp(normed)
    return h + (result if scale is None else scale(result))
