"""Training of context vectors of which only some are in use, and how much each of these matters."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dpl_nas.config import SupernetSettings
from dpl_nas.engine import Cost
from dpl_nas.errors import ConfigError
from dpl_nas.kernels import CandidateLayout
from dpl_nas.observer import Stage
from dpl_nas.prompted import Context, ContextMixture, PromptedCLIP
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture, Tower
from dpl_nas.strategy.search import Search
from dpl_nas.strategy.supernet.images import Supernet
from dpl_nas.strategy.supernet.loop import EpochBatches
from dpl_nas.strategy.supernet.saved import SavedSupernet
from dpl_nas.training.model import initialise_contexts
from dpl_nas.training.optimizers import build_optimizer, learning_rate, set_learning_rate

__all__ = ["SalientContext", "SalientSupernet"]

#: A vector that comes to a layer starts near zero, as in the released code of PRO-VPT.
_FRESH = 1e-3


class SalientContext(Context):
    """Context vectors of which only some are in use.

    Attributes
    ----------
    used
        Whether each vector is in use, ``(length,)``; at first all are.
    saliency
        Sum over the steps of ``|v . dL/dv|`` of each vector ``v``: about how much the loss changes
        without it.
    idleness
        Sum over the steps of ``v . dL/dv``: about how much the loss falls without it.
    """

    used: Tensor
    saliency: Tensor
    idleness: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__(length, width)
        self.register_buffer("used", torch.ones(length, dtype=torch.bool))
        self.register_buffer("saliency", torch.zeros(length))
        self.register_buffer("idleness", torch.zeros(length))

    @property
    def count(self) -> int:
        """Number of vectors in use."""
        return int(self.used.sum())

    def forward(self) -> ContextMixture:
        """Return the vectors in use as the only candidate."""
        vectors = self.vectors[self.used]
        return ContextMixture(vectors, CandidateLayout((len(vectors),)))

    @torch.no_grad()
    def note(self) -> None:
        """Add the gradients of a step to the sums."""
        if self.vectors.grad is not None:
            change = (self.vectors * self.vectors.grad).sum(dim=1)
            self.saliency += change.abs()
            self.idleness += change

    def forget(self) -> None:
        """Begin both sums anew."""
        self.saliency.zero_()
        self.idleness.zero_()

    def drop(self, count: int, importance: Tensor) -> None:
        """Take the ``count`` least important vectors away; of equal ones the last."""
        rows = self.used.nonzero().flatten().flip(0)
        self.used[rows[importance[rows].argsort(stable=True)[:count]]] = False

    def most_idle(self, count: int) -> float:
        """The idleness of the ``count`` most idle vectors in use together."""
        return float(self.idleness[self.used].topk(count).values.sum())

    @torch.no_grad()
    def add(self, count: int) -> None:
        """Put ``count`` more vectors to use."""
        rows = (~self.used).nonzero().flatten()[:count]
        self.used[rows] = True
        self.vectors[rows] *= _FRESH


class SalientSupernet:
    """A backbone whose layers begin with their longest lengths, and its training.

    Parameters
    ----------
    settings
        Settings with the number of epochs that the budget allows.
    cost
        Function of an epoch's number, from 0, that gives its price.

    Attributes
    ----------
    contexts
        The context vectors by label.
    done
        Number of complete epochs.
    history
        Plain values that a strategy adds to; they are saved with the vectors.
    """

    def __init__(
        self,
        search: Search,
        supernet: Supernet,
        settings: SupernetSettings,
        cost: Callable[[int], Cost],
    ) -> None:
        self._search = search
        self._supernet = supernet
        self._settings = settings
        self._cost = cost
        self.contexts: dict[str, SalientContext] = {}
        by_tower: dict[Tower, dict[int, nn.Module]] = {}
        for label, tower, layer in search.space.labels():
            longest = search.space.towers[tower].lengths[-1]
            self.contexts[label] = SalientContext(longest, search.backbone.widths[tower])
            by_tower.setdefault(tower, {})[layer] = self.contexts[label]
        self.clip = PromptedCLIP(search.backbone, by_tower, offsets=supernet.offsets).to(
            search.backbone.device
        )
        initialise_contexts(self.clip, settings.init, derive_seed(search.seed, "supernet"))
        self._optimizer = build_optimizer(self.clip.parameters(), settings.prompts)
        images = search.engine.settings.images
        self._saved = SavedSupernet(search.folder, settings.epochs, images)
        self.done = self._saved.epochs
        self.history: list[Any] = self._saved.history
        self._saved.restore(self.clip, [self._optimizer])
        # An earlier process has paid for them; the ledger has their costs.
        for epoch in range(self.done):
            search.charge(f"epoch {epoch}", cost(epoch))

    @property
    def lengths(self) -> dict[str, int]:
        """Number of vectors in use by label."""
        return {label: context.count for label, context in self.contexts.items()}

    @property
    def architecture(self) -> Architecture:
        """The lengths as an architecture, whether or not it fits the limits."""
        return self._search.space.without_limits().architecture(self.lengths)

    def train(self, revise: Callable[[int], None]) -> None:
        """Train up to the last epoch, or while there are vectors.

        Parameters
        ----------
        revise
            Function that changes which vectors are in use; it is called with the number of
            complete epochs after each.

        Raises
        ------
        ConfigError
            If the loss or the context vectors stop being finite numbers.
        """
        epochs = self._settings.epochs
        observer = self._search.observer
        if self.done == epochs:
            return
        observer.begin(Stage.SEARCH, epochs, self.done)
        seconds = self._saved.seconds
        while self.done < epochs and any(self.lengths.values()):
            started = time.perf_counter()
            loss = self._epoch()
            revise(self.done + 1)
            taken = time.perf_counter() - started
            seconds += taken
            self._search.charge(f"epoch {self.done}", self._cost(self.done) + Cost(seconds=taken))
            self.done += 1
            self._saved.save(self.clip, [self._optimizer], self.done, seconds, self.history)
            told = self.architecture.describe()
            observer.advance(Stage.SEARCH, self.done, {"loss": loss}, told)
        observer.end(Stage.SEARCH)

    def _epoch(self) -> float:
        settings, supernet = self._settings, self._supernet
        rate = learning_rate(settings.prompts, self.done, settings.epochs)
        set_learning_rate(self._optimizer, rate)
        batches = EpochBatches(
            supernet.training, settings.batch_size, self._search.seed, lambda: self.done
        )
        losses = []
        for images, labels in batches:
            loss = supernet.loss(self.clip.outputs(images, supernet.text), labels, None)
            self._optimizer.zero_grad()
            loss.backward()
            for context in self.contexts.values():
                context.note()
            self._optimizer.step()
            losses.append(loss.detach())
        found = float(torch.stack(losses).mean())
        if not (math.isfinite(found) and _all_finite(self.clip.state_dict())):
            raise ConfigError(
                f"the loss or the context vectors were not finite in epoch {self.done} of the "
                "search: lower search.prompts.lr"
            )
        return found


def _all_finite(tensors: Mapping[str, Tensor]) -> bool:
    return all(bool(each.isfinite().all()) for each in tensors.values())
