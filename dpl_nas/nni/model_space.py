"""The search space as NNI sees it: one LayerChoice of context lengths a layer and tower."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

import torch
from nni.mutable import Categorical, SampleValidationError
from nni.mutable.exception import ConstraintViolation
from nni.mutable.utils import label as label_parts
from nni.nas.nn.pytorch import LayerChoice, ModelSpace
from numpy.random import RandomState
from torch import Tensor, nn

from dpl_nas.backbone import Backbone, TextInputs, check_layers
from dpl_nas.config import PromptInit
from dpl_nas.errors import ArchitectureError, SpaceError
from dpl_nas.io.reprs import in_a_line
from dpl_nas.nni.search_space import sample_of
from dpl_nas.nni.supermodule import DifferentiableContexts, SampledContexts
from dpl_nas.prompted import Context, ContextMixture, NestedContext, PromptedCLIP
from dpl_nas.space import Space, Tower, fitting, label_of
from dpl_nas.training.model import initialise_contexts

__all__ = ["ContextChoice", "LengthChoice", "PromptSpace"]


class LengthChoice(Categorical):  # type: ignore[misc]
    """A Categorical of length names that heeds the limits of the whole space.

    NNI's own constraints are of no use here. Its one-shot strategies and tuners refuse a space
    that has one. Its other strategies draw freely and reject, but with a limit of 6 vectors on 24
    layers one draw in 10 ** 14 fits. Instead, each choice depends on the choices that the sample
    holds already. So whatever NNI draws or enumerates choice by choice fits, and is uniform over
    all that fits. A later change, such as a mutation of its ``RegularizedEvolution``, is refused
    if it exceeds a limit.

    Parameters
    ----------
    names
        Lengths on offer, as texts.
    space
        Space whose limits hold for all choices together.
    label
        Label of this choice, such as ``image/0``.
    """

    def __init__(self, names: Sequence[str], space: Space, *, label: str) -> None:
        super().__init__(names, label=label)
        self.space = space

    def check_contains(self, sample: Mapping[str, Any]) -> SampleValidationError | None:
        """The error if ``sample`` lacks this choice or cannot fit; otherwise ``None``."""
        error = super().check_contains(sample)
        if error is not None:
            return error
        lengths = {
            tower: [
                # Open choices can still become the shortest.
                int(sample.get(label_of(tower, layer), part.lengths[0]))
                for layer in part.layers
            ]
            for tower, part in self.space.towers.items()
        }
        for limit in self.space.limits:
            if (cost := limit.cost(lengths)) > limit.most:
                return ConstraintViolation(
                    f"expected at most {limit.most:,} {limit.unit}, found {cost:,}"
                )
        return None

    def random(
        self, memo: dict[str, Any] | None = None, random_state: RandomState | None = None
    ) -> str:
        """Draw a length, as probable as among all that fits and agrees with ``memo``.

        The lengths of all other choices are drawn with it and left for them in ``memo``.

        Raises
        ------
        nni.mutable.exception.ConstraintViolation
            If nothing that fits agrees with ``memo``.
        """
        memo = {} if memo is None else memo
        if self.label not in memo and self.space.limits:
            state = RandomState() if random_state is None else random_state
            fixed = {
                label: int(memo[label]) for label, _, _ in self.space.labels() if label in memo
            }
            try:
                drawn = fitting.sample(
                    self.space, Random(int.from_bytes(state.bytes(8), "big")), fixed
                )
            except ArchitectureError as error:
                raise ConstraintViolation(str(error)) from None
            memo.update(sample_of(drawn))
        name: str = super().random(memo, random_state)
        return name

    def grid(
        self, memo: dict[str, Any] | None = None, granularity: int | None = None
    ) -> Iterator[str]:
        """Enumerate the lengths with which something fits that agrees with ``memo``."""
        memo = {} if memo is None else memo
        if self.label in memo:
            yield from super().grid(memo, granularity)
            return
        for name in self.values:
            memo[self.label] = name
            if self.contains(memo):
                yield name
        memo.pop(self.label)


class ContextChoice(LayerChoice):  # type: ignore[misc]
    """A LayerChoice whose candidates are contexts, called without arguments.

    Candidates are named by their length (``"0"``, ``"2"``, ...), so a sample of NNI reads
    ``{"image/0": "4"}``.

    Parameters
    ----------
    candidates
        Contexts by the names of their lengths.
    label
        Label of the layer, such as ``image/0``.
    space
        Space whose limits hold.
    """

    def __init__(self, candidates: dict[str, nn.Module], *, label: str, space: Space) -> None:
        # NNI's own __init__ makes the choice.
        self._space = space
        super().__init__(candidates, label=label)

    def _inner_choice(
        self,
        names: list[str],
        weights: Any,  # noqa: ARG002 - NNI's signature
        label: str,
    ) -> LengthChoice:
        return LengthChoice(names, self._space, label=label)

    @classmethod
    def create_fixed_module(
        cls, sample: dict[str, Any], candidates: dict[str, nn.Module], *, label: str, space: Space
    ) -> nn.Module:
        """The context that ``sample`` chooses; NNI makes it inside ``model_context``."""
        return candidates[LengthChoice(list(candidates), space, label=label).freeze(sample)]

    def __repr__(self) -> str:
        return in_a_line(f"ContextChoice({self.label}: {', '.join(self.names)})")

    def forward(self) -> ContextMixture:
        """The mixture of the candidate that NNI's dry run chose."""
        mixture: ContextMixture = self[self._dry_run_choice]()
        return mixture


class PromptSpace(ModelSpace):  # type: ignore[misc]
    """A prompted CLIP whose context lengths are open.

    ``simplify``, ``freeze``, ``random`` and ``model_context`` of NNI work on it; one-shot
    strategies turn it into a supernet by its hooks. Samples keep to the limits, as
    :class:`LengthChoice` says. A supernet has all lengths, so what is chosen from it must be
    projected (:func:`dpl_nas.space.fitting.project`).

    Its ``repr`` is a line; ``named_modules()`` and ``named_parameters()`` list what it is made of.

    Parameters
    ----------
    space
        Search space.
    backbone
        Frozen CLIP; shared, never copied.
    init, seed
        Initialisation of the context vectors.
    offsets
        Offsets of class features, if they are learned.

    Raises
    ------
    SpaceError
        If the space names a layer that the backbone does not have.
    """

    def __init__(
        self,
        space: Space,
        backbone: Backbone,
        init: PromptInit | None = None,
        seed: int = 1,
        offsets: nn.Parameter | None = None,
    ) -> None:
        super().__init__()
        asks = f"space {space.name} searches"
        for tower, part in space.towers.items():
            check_layers(backbone, tower, part.layers, asks=asks, error=SpaceError)
        contexts: dict[Tower, dict[int, nn.Module]] = {tower: {} for tower in space.towers}
        for _, tower, layer in space.labels():
            candidates = _candidates(
                space.towers[tower].lengths, backbone.widths[tower], space.shared_vectors
            )
            contexts[tower][layer] = ContextChoice(
                candidates, label=label_parts([tower, str(layer)]), space=space
            )
        self.clip = PromptedCLIP(backbone, contexts, offsets=offsets)
        initialise_contexts(self.clip, init or PromptInit(), seed)
        self._told = repr(space)

    def __repr__(self) -> str:
        return in_a_line(f"{type(self).__name__}({self._told})")

    def forward(self, images: Tensor, text: TextInputs) -> Tensor:
        """Logits (batch, classes) of images (batch, 3, S, S)."""
        logits: Tensor = self.clip(images, text)
        return logits

    @staticmethod
    def extra_oneshot_hooks(
        strategy: Any,  # noqa: ARG004 - NNI's signature
    ) -> list[Callable[..., Any]]:
        """The hooks that make supermodules: of differentiable strategies, and of sampled paths."""
        return [DifferentiableContexts.mutate, SampledContexts.mutate]


def _candidates(lengths: tuple[int, ...], width: int, shared: bool) -> dict[str, nn.Module]:
    if not shared:
        return {str(length): Context(length, width) for length in lengths}
    vectors = nn.Parameter(torch.zeros(max(lengths), width))
    return {str(length): NestedContext(vectors, length) for length in lengths}
