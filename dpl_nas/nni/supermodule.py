"""A layer of the supernet: all candidate contexts, fused into one attention."""

from __future__ import annotations

from typing import Any

from nni.nas.nn.pytorch import LayerChoice
from nni.nas.oneshot.pytorch.supermodule.differentiable import DifferentiableMixedLayer
from torch import Tensor, nn

from dpl_nas.prompted import ContextMixture, mix

__all__ = ["DifferentiableContexts"]


class DifferentiableContexts(DifferentiableMixedLayer):  # type: ignore[misc]
    """Contexts weighed by softmax(alpha).

    NNI's own mixed layer runs every candidate and adds the results. This one hands all
    candidates to the attention, which computes what they share once.
    """

    @classmethod
    def mutate(
        cls,
        module: nn.Module,
        name: str,  # noqa: ARG003 - NNI's signature
        memo: dict[str, Any],
        mutate_kwargs: dict[str, Any],
    ) -> DifferentiableContexts | None:
        """NNI's mutation hook: replace a choice of contexts, and nothing else."""
        if not isinstance(module, LayerChoice) or isinstance(module, DifferentiableMixedLayer):
            return None
        softmax = mutate_kwargs.get("softmax", nn.Softmax(-1))
        return cls(module.candidates, memo[module.label], softmax, module.label)

    @property
    def alpha(self) -> Tensor:
        """Logits (candidates,), in the order of the space's lengths."""
        logits: Tensor = self._arch_alpha
        return logits

    def forward(self) -> ContextMixture:
        """All candidates, with their weights."""
        contexts = [self[name] for name in self.names]
        return mix(contexts, self._softmax(self._arch_alpha))

    def chosen(self) -> str:
        """The name of the largest alpha's candidate; of equal ones the first, the shortest."""
        values = self._arch_alpha.detach().tolist()
        name: str = self.names[values.index(max(values))]
        return name

    def export(self, memo: dict[str, Any]) -> dict[str, Any]:
        """NNI's export: the choice of this label."""
        return {} if self.label in memo else {self.label: self.chosen()}

    def export_probs(self, memo: dict[str, Any]) -> dict[str, Any]:
        """softmax(alpha) by name; also where the forward pass draws Gumbel noise."""
        if self.label in memo:
            return {}
        weights = self._arch_alpha.detach().softmax(-1).tolist()
        return {self.label: dict(zip(self.names, weights, strict=True))}
