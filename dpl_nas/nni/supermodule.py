"""A layer of the supernet: all candidate contexts, fused into one attention."""

from __future__ import annotations

from typing import Any

import torch
from nni.nas.nn.pytorch import LayerChoice
from nni.nas.oneshot.pytorch.supermodule.differentiable import DifferentiableMixedLayer
from nni.nas.oneshot.pytorch.supermodule.sampling import PathSamplingLayer
from torch import Tensor, nn

from dpl_nas.prompted import ContextMixture, mix

__all__ = ["DifferentiableContexts", "SampledContexts", "supermodules"]


class DifferentiableContexts(DifferentiableMixedLayer):  # type: ignore[misc]
    """Contexts weighted by softmax(alpha).

    NNI's own mixed layer runs every candidate and adds the results. This one gives all
    candidates to the attention, which computes their shared part once.
    """

    #: The part that a constraint takes off the alphas (candidates,).
    tilt: Tensor | None = None

    @classmethod
    def mutate(
        cls,
        module: nn.Module,
        name: str,  # noqa: ARG003 - NNI's signature
        memo: dict[str, Any],
        mutate_kwargs: dict[str, Any],
    ) -> DifferentiableContexts | None:
        """Replace a choice of contexts, and nothing else (NNI's mutation hook)."""
        # Only differentiable strategies keep alphas in the memo.
        if not _is_choice(module) or str(module.label) not in memo:
            return None
        softmax = mutate_kwargs.get("softmax", nn.Softmax(-1))
        return cls(module.candidates, memo[str(module.label)], softmax, module.label)

    @property
    def alpha(self) -> Tensor:
        """Logits (candidates,), in the order of the space's lengths."""
        logits: Tensor = self._arch_alpha
        return logits

    @property
    def logits(self) -> Tensor:
        """Logits of the weights (candidates,): the alphas, less what a constraint takes off."""
        return self.alpha if self.tilt is None else self.alpha - self.tilt

    def forward(self) -> ContextMixture:
        """All candidates, with their weights."""
        contexts = [self[name] for name in self.names]
        # Outside training, the weights are the probabilities themselves, without noise.
        softmax = self._softmax if self.training else nn.Softmax(-1)
        return mix(contexts, softmax(self.logits))

    def chosen(self) -> str:
        """The name of the candidate with the largest alpha; of equal ones the shortest."""
        values = self._arch_alpha.detach().tolist()
        name: str = self.names[values.index(max(values))]
        return name

    def export(self, memo: dict[str, Any]) -> dict[str, Any]:
        """The choice of this label (NNI's export)."""
        return {} if self.label in memo else {self.label: self.chosen()}

    def export_probs(self, memo: dict[str, Any]) -> dict[str, Any]:
        """The softmax(alpha) by name, without any Gumbel noise of the forward pass."""
        if self.label in memo:
            return {}
        weights = self._arch_alpha.detach().softmax(-1).tolist()
        return {self.label: dict(zip(self.names, weights, strict=True))}


class SampledContexts(PathSamplingLayer):  # type: ignore[misc]
    """Contexts for strategies that sample paths: one is drawn before each step."""

    @classmethod
    def mutate(
        cls,
        module: nn.Module,
        name: str,  # noqa: ARG003 - NNI's signature
        memo: dict[str, Any],
        mutate_kwargs: dict[str, Any],  # noqa: ARG003 - NNI's signature
    ) -> SampledContexts | None:
        """Replace a choice of contexts, and nothing else (NNI's mutation hook)."""
        if not _is_choice(module) or str(module.label) in memo:
            return None
        return cls(module.candidates, module.label)

    def resample(self, memo: dict[str, Any]) -> dict[str, Any]:
        """Draw a path from torch's generator, which is seeded; NNI would start its own."""
        drawn: dict[str, Any] = super().resample({self.label: self._drawn(), **memo})
        return drawn

    def export(self, memo: dict[str, Any]) -> dict[str, Any]:
        """Choose any candidate: a path does not say which is best."""
        return {} if self.label in memo else {self.label: self._drawn()}

    def _drawn(self) -> str:
        name: str = self.names[int(torch.randint(len(self.names), ()))]
        return name

    def forward(self) -> ContextMixture:
        """The candidate that was drawn last."""
        mixture: ContextMixture = self[self._sampled]()
        return mixture


def supermodules(model: nn.Module) -> dict[str, DifferentiableContexts]:
    """The layers of a supernet whose lengths are mixed, by label."""
    return {
        module.label: module
        for module in model.modules()
        if isinstance(module, DifferentiableContexts)
    }


def _is_choice(module: Any) -> bool:
    return isinstance(module, LayerChoice) and not isinstance(
        module, (DifferentiableMixedLayer, PathSamplingLayer)
    )
