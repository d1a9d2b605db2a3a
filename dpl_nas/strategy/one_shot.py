"""A supernet that is trained one path a step, then searched by evolution."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from nni.nas.evaluator.pytorch import Lightning
from nni.nas.oneshot.pytorch.sampling import RandomSamplingLightningModule
from nni.nas.space import RawFormatModelSpace
from nni.nas.strategy import RandomOneShot
from torch import Tensor

from dpl_nas.config import OneShotSettings
from dpl_nas.engine import Cost, Outcome
from dpl_nas.nni.engine import InProcessEngine
from dpl_nas.nni.model_space import PromptSpace
from dpl_nas.nni.quiet import quiet
from dpl_nas.nni.search_space import sample_of
from dpl_nas.nni.supermodule import SampledContexts
from dpl_nas.observer import Stage
from dpl_nas.prompted import PromptedCLIP
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture, Space, fitting, label_of
from dpl_nas.strategy.base import Found, Strategy
from dpl_nas.strategy.search import Search
from dpl_nas.strategy.supernet.images import Supernet
from dpl_nas.strategy.supernet.loop import EpochBatches, SupernetModule, supernet_trainer
from dpl_nas.strategy.supernet.saved import SavedSupernet
from dpl_nas.training.evaluation import Classifier

__all__ = ["OneShot", "measure_shared", "train_supernet"]

Batch = tuple[Tensor, Tensor]


class OneShot(Strategy):
    """Uniform path sampling and evolution with shared weights (Guo et al. 2020, SPOS).

    NNI's ``RandomOneShot`` trains the supernet; each step trains one architecture, drawn
    uniformly from all that fit. Evolution then compares architectures by their validation
    accuracy with the supernet's vectors, and the best of them are trained and compared.

    A candidate of the evolution costs its validation batches, counted as training steps.
    """

    name = "one_shot"
    Settings = OneShotSettings
    plans = True
    stage = Stage.SHORTLIST

    settings: OneShotSettings

    def explore(self, search: Search) -> Found | None:
        """Train the supernet, evolve, and compare the shortlist.

        Raises
        ------
        StrategyError
            If the budget does not cover one epoch of the supernet.
        """
        supernet = Supernet(search, self.settings)
        engine = search.engine
        # A result needs at least one candidate and one trial of it.
        shortlist = supernet.reserve(self.settings.shortlist)
        many = self.settings.population_size * (1 + self.settings.generations)
        a_candidate = _validation_cost(supernet, self.settings)
        evolution = min(
            many * a_candidate.steps,
            max(a_candidate.steps, (engine.steps_left - shortlist) / 2),
        )
        epochs = supernet.affordable_epochs(
            lambda _: supernet.steps_an_epoch, shortlist + evolution
        )
        settings = self.settings.model_copy(update={"epochs": epochs})
        clip = train_supernet(search, supernet, settings)
        candidates = _Candidates(search, supernet, clip, shortlist, a_candidate)
        search.evaluate(_evolve(search, settings, candidates))
        return None


def _validation_cost(supernet: Supernet, settings: OneShotSettings) -> Cost:
    count = len(supernet.validation)
    return Cost(steps=math.ceil(count / settings.batch_size), images=count)


def train_supernet(search: Search, supernet: Supernet, settings: OneShotSettings) -> PromptedCLIP:
    """Train the supernet and return it."""
    with quiet(), torch.random.fork_rng(devices=[]):
        model = PromptSpace(
            search.space,
            search.backbone,
            settings.init,
            derive_seed(search.seed, "supernet"),
            supernet.offsets,
        )
        progress = _Progress(search, supernet, settings)
        # With 0 nothing would be left to do, and Lightning would warn about it.
        left = max(settings.epochs - progress.done, 1)
        trainer = supernet_trainer(search.backbone, left, [progress], limit_val_batches=0)
        batches = EpochBatches(
            supernet.training, settings.batch_size, search.seed, lambda: progress.done
        )
        module = _PathModule(settings, supernet, progress)
        # NNI requires validation batches, but the trainer uses none.
        evaluator = Lightning(module, trainer, train_dataloaders=batches, val_dataloaders=batches)
        strategy = _FittingPaths(search.space, search.seed, progress)
        if progress.done < settings.epochs:
            strategy(RawFormatModelSpace(model, evaluator), InProcessEngine())
        else:
            strategy.mutate_model(model)
            progress.restore(model)
    clip: PromptedCLIP = model.clip
    return clip


class _Progress(pl.Callback):
    """Saves the supernet after each epoch, pays for the epoch, and tells observers."""

    def __init__(self, search: Search, supernet: Supernet, settings: OneShotSettings) -> None:
        self._search = search
        self._settings = settings
        self._cost = Cost(steps=supernet.steps_an_epoch, images=len(supernet.training))
        self._saved = SavedSupernet(search.folder, settings.epochs, search.engine.settings.images)
        self.done = self._saved.epochs
        self._losses: list[Tensor] = []
        self._seconds = self._saved.seconds
        self._started = time.perf_counter()
        for epoch in range(self.done):
            self._pay(epoch, 0.0)

    def note(self, loss: Tensor) -> None:
        """Keep the loss of a step, without waiting for the device."""
        self._losses.append(loss)

    def restore(self, model: PromptSpace) -> None:
        """Load the saved vectors into ``model``."""
        self._saved.restore(model)

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Go on where the saved state ends."""
        self._saved.restore(pl_module.model, trainer.optimizers)
        self._search.observer.begin(Stage.SEARCH, self._settings.epochs, self.done)
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Pay for the epoch, save the supernet, and tell observers."""
        now = time.perf_counter()
        self._pay(self.done, now - self._started)
        self._seconds += now - self._started
        self._started = now
        self.done += 1
        self._saved.save(pl_module.model, trainer.optimizers, self.done, self._seconds)
        loss = float(torch.stack(self._losses).mean())
        self._losses.clear()
        self._search.observer.advance(Stage.SEARCH, self.done, {"loss": loss})

    def on_train_end(self, *_: Any) -> None:
        """Tell observers that the training has ended."""
        self._search.observer.end(Stage.SEARCH)

    def _pay(self, epoch: int, seconds: float) -> None:
        self._search.charge(f"epoch {epoch}", self._cost + Cost(seconds=seconds))


class _PathModule(SupernetModule):
    """The loss of the drawn architecture."""

    def __init__(self, settings: OneShotSettings, supernet: Supernet, progress: _Progress) -> None:
        super().__init__(settings, supernet.text, supernet.loss, progress.done)
        self._progress = progress

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """The loss of one batch; ``None``, so no step, for an architecture without vectors."""
        del batch_idx
        images, labels = batch
        loss = self.step_loss(images, labels)
        self._progress.note(loss.detach())
        return loss if loss.requires_grad else None


class _FittingPaths(RandomOneShot):  # type: ignore[misc]
    """NNI's strategy, whose paths are drawn from all architectures that fit."""

    def __init__(self, space: Space, seed: int, progress: _Progress) -> None:
        super().__init__()
        self._space = space
        self._seed = seed
        self._progress = progress

    def configure_oneshot_module(self, training_module: Any) -> _FittingPathModule:
        return _FittingPathModule(training_module, self._space, self._seed, self._progress)


class _FittingPathModule(RandomSamplingLightningModule):  # type: ignore[misc]
    """NNI's module with whole draws: NNI draws each layer alone, here an architecture is drawn."""

    def __init__(self, training_module: Any, space: Space, seed: int, progress: _Progress) -> None:
        super().__init__(training_module)
        self._space = space
        self._seed = seed
        self._progress = progress

    def training_step(self, batch: Batch, batch_idx: int) -> Any:
        rng = random.Random(derive_seed(self._seed, "path", self._progress.done, batch_idx))
        sample = sample_of(fitting.sample(self._space, rng))
        for module in self.supernet_modules():
            module.resample(dict(sample))
        return self.training_module.training_step(batch, batch_idx)


class _Candidates:
    """Architectures and their scores with the supernet's vectors.

    Parameters
    ----------
    reserved
        Steps of the budget that candidates may not use.
    cost
        Cost of one candidate.
    """

    def __init__(
        self, search: Search, supernet: Supernet, clip: PromptedCLIP, reserved: float, cost: Cost
    ) -> None:
        self._search = search
        self._supernet = supernet
        self._clip = clip
        self._reserved = reserved
        self._cost = cost
        self._scores: dict[Architecture, float] = {}

    def best(self, count: int) -> list[Architecture]:
        """The best candidates, the best first."""
        ranked = sorted(self._scores.items(), key=lambda each: (-each[1], each[0].vectors))
        return [architecture for architecture, _ in ranked[:count]]

    def measure(self, architecture: Architecture) -> bool:
        """Measure a candidate; returns whether there was budget for it."""
        if architecture in self._scores:
            return True
        if self._search.engine.steps_left - self._reserved < self._cost.steps:
            return False
        started = time.perf_counter()
        score = measure_shared(self._search, self._supernet, self._clip, architecture).score
        seconds = time.perf_counter() - started
        self._search.charge(f"path {len(self._scores)}", self._cost + Cost(seconds=seconds))
        self._scores[architecture] = score
        return True


def _evolve(
    search: Search, settings: OneShotSettings, candidates: _Candidates
) -> list[Architecture]:
    """Search by evolution with the supernet's vectors; returns architectures, the best first."""
    space, rng = search.space, search.rng("one_shot/evolution")
    for _ in range(settings.population_size):
        candidates.measure(fitting.sample(space, rng))
    for _ in range(settings.generations):
        parents = candidates.best(max(2, settings.population_size // 2))
        for child in range(settings.population_size):
            crosses = child % 2 == 1
            made = fitting.offspring(
                space,
                lambda: rng.choice(parents),  # noqa: B023 - called at once
                rng,
                crosses=crosses,
                mutated_layers=0 if crosses else settings.mutated_layers,
            )
            if not candidates.measure(made):
                return candidates.best(settings.shortlist)
    return candidates.best(settings.shortlist)


def measure_shared(
    search: Search, supernet: Supernet, clip: PromptedCLIP, architecture: Architecture
) -> Outcome:
    """Validate an architecture with the supernet's vectors."""
    contexts: dict[Any, dict[int, Any]] = {}
    layers: Mapping[str, SampledContexts] = {
        module.label: module for module in clip.modules() if isinstance(module, SampledContexts)
    }
    for tower, layer, length in architecture.items():
        contexts.setdefault(tower, {})[layer] = layers[label_of(tower, layer)][str(length)]
    model = PromptedCLIP(clip.backbone, contexts, offsets=clip.offsets)
    with torch.no_grad():
        classifier = Classifier(model, model.encode_text(supernet.text))
    return search.engine.validate(classifier)
