"""Measures, records and saves a differentiable search after every epoch."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor

from dpl_nas.backbone import TextInputs
from dpl_nas.config import DartsSettings
from dpl_nas.engine import StopReason, measure
from dpl_nas.errors import CheckpointError, ConfigError, OutputError
from dpl_nas.io.run_files import RECORDS, TENSORBOARD
from dpl_nas.nni.supermodule import DifferentiableContexts, supermodules
from dpl_nas.observer import Observer, Stage
from dpl_nas.prompted import PromptedCLIP
from dpl_nas.space import Space, Tower
from dpl_nas.space.fitting import project
from dpl_nas.strategy.logits import log_softmax, normalised_entropy, tied
from dpl_nas.strategy.result import EpochRecord, read_records, write_records
from dpl_nas.strategy.supernet.saved import SavedSupernet
from dpl_nas.training.batches import FewShotImages
from dpl_nas.training.distributed import ALONE, Ranks
from dpl_nas.training.evaluation import Classifier

__all__ = ["SearchProgress"]


class SearchProgress(pl.Callback):
    """The callback that measures, stops, saves and resumes a search.

    Attributes
    ----------
    records
        Records of all epochs, including those before a resume.
    done_before
        Number of epochs that were complete when this process began.

    ``charge`` is called with each epoch and its seconds before its record is kept.
    """

    def __init__(
        self,
        space: Space,
        settings: DartsSettings,
        validation: FewShotImages,
        text: TextInputs,
        folder: Path | None,
        observer: Observer,
        charge: Callable[[int, float], None],
        ranks: Ranks = ALONE,
        images: str = "",
    ) -> None:
        self._charge = charge
        self._space = space
        self._settings = settings
        self._validation = validation
        self._text = text
        self._folder = folder
        self._observer = observer
        self._ranks = ranks
        # One process writes for all.
        self._out = folder if ranks.first else None
        self._losses: dict[str, list[Tensor]] = defaultdict(list)
        self._writer: Any = None
        self._saved = SavedSupernet(folder, settings.epochs, images)
        self.done_before = self._saved.epochs
        self.records: list[EpochRecord] = []
        if folder is not None and self.done_before:
            # Records are written before the state, so there may be one too many.
            self.records = read_records(folder / RECORDS)[: self.done_before]
            if len(self.records) < self.done_before:
                raise CheckpointError(
                    f"{folder / RECORDS} has fewer epochs than {self._saved.path}: remove both "
                    "to search afresh"
                )
        self._started = time.perf_counter()
        self._epoch_started = self._started
        # An earlier process has paid for them; the ledger has their costs.
        for epoch in range(self.done_before):
            charge(epoch, 0.0)

    @property
    def done(self) -> int:
        """Number of complete epochs."""
        return len(self.records)

    @property
    def seconds(self) -> float:
        """Wall-clock seconds, over all resumed parts."""
        return self._saved.seconds + time.perf_counter() - self._started

    @property
    def stable_epochs(self) -> int:
        """Number of latest epochs in which no layer has changed its choice."""
        count = 0
        for record in reversed(self.records):
            if record.choice != self.records[-1].choice:
                break
            count += 1
        return count

    @property
    def stopped_by(self) -> StopReason | None:
        """The rule that ends the search; ``None`` while it goes on."""
        rule = self._settings.early_stop
        if self.done >= self._settings.epochs:
            return StopReason.EPOCHS
        if (
            rule is not None
            and self.done >= max(rule.min_epochs, 1)
            and self.stable_epochs > rule.patience
            and self.records[-1].mean_entropy <= rule.max_entropy
        ):
            return StopReason.EARLY_STOP
        return None

    @property
    def complete(self) -> bool:
        """Whether the search has ended."""
        return self.stopped_by is not None

    def note_loss(self, level: Literal["train", "validation"], loss: Tensor) -> None:
        """Keep the loss of a step, without waiting for the device."""
        self._losses[level].append(loss)

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Go on where the saved state ends: prompts, alphas and both optimizers."""
        self._saved.restore(pl_module.model, trainer.optimizers)
        for optimizer in trainer.optimizers:
            self._ranks.sum_gradients(optimizer)
        if self._out is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._out / TENSORBOARD), purge_step=self.done_before)
        self._observer.begin(Stage.SEARCH, self._settings.epochs, self.done_before)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Measure, record and save the epoch, tell observers, and stop if the rule says so."""
        now = time.perf_counter()
        self._charge(self.done, now - self._epoch_started)
        self._epoch_started = now
        record = self._measure(pl_module.model.clip)
        self.records.append(record)
        if self._out is not None:
            try:
                self._log(record)
            except OSError as error:
                raise OutputError(
                    f"cannot write {self._out / TENSORBOARD}: {error.strerror or error}"
                ) from error
            write_records(self._out / RECORDS, self.records)
            self._saved.save(pl_module.model, trainer.optimizers, self.done, self.seconds)
        self._observer.advance(
            Stage.SEARCH,
            self.done,
            {
                "validation_accuracy": record.validation_accuracy,
                "loss": record.train_loss,
                "entropy": record.mean_entropy,
            },
            self._space.architecture(record.choice).describe(),
        )
        if self.complete:
            trainer.should_stop = True

    def on_train_end(self, *_: Any) -> None:
        """Close open files."""
        if self._writer is not None:
            self._writer.close()
        self._observer.end(Stage.SEARCH)

    def _measure(self, clip: PromptedCLIP) -> EpochRecord:
        layers = supermodules(clip)
        alpha = {label: layer.alpha.detach().tolist() for label, layer in layers.items()}
        means = {
            name: float(self._ranks.total(torch.stack(found).mean()))
            for name, found in self._losses.items()
        }
        self._losses.clear()
        for name, value in means.items():
            if not math.isfinite(value):
                raise ConfigError(
                    f"the {name} loss became {value} in epoch {self.done} of the search: lower "
                    "search.prompts.lr or search.alphas.lr"
                )
        choice = self._choice(layers, alpha)
        entropy = {label: normalised_entropy(logits) for label, logits in alpha.items()}
        record = EpochRecord(
            epoch=self.done,
            train_loss=means["train"],
            # While the prompts warm up there is no alpha step, so no validation loss.
            validation_loss=means.get("validation", means["train"]),
            validation_accuracy=self._accuracy(_discretise(clip, choice)),
            supernet_accuracy=self._accuracy(clip.eval()),
            mean_entropy=sum(entropy.values()) / len(entropy),
            entropy=entropy,
            choice=choice,
            ties=tied(alpha),
            alpha=alpha,
        )
        clip.train()
        return record

    def _choice(
        self, layers: Mapping[str, DifferentiableContexts], alpha: Mapping[str, list[float]]
    ) -> dict[str, int]:
        """The length of the largest alpha of each layer; with limits the most likely that fit."""
        if not self._space.limits:
            return {label: int(layer.chosen()) for label, layer in layers.items()}
        scores = {label: log_softmax(logits) for label, logits in alpha.items()}
        return project(self._space, scores).by_label()

    @torch.no_grad()
    def _accuracy(self, clip: PromptedCLIP) -> float:
        classifier = Classifier(clip, clip.encode_text(self._text))
        return measure(classifier, self._validation).accuracy

    def _log(self, record: EpochRecord) -> None:
        for name in (
            "train_loss",
            "validation_loss",
            "validation_accuracy",
            "supernet_accuracy",
            "mean_entropy",
        ):
            self._writer.add_scalar(f"search/{name}", getattr(record, name), record.epoch)
        for label, value in record.entropy.items():
            self._writer.add_scalar(f"entropy/{label}", value, record.epoch)
        for label, logits in record.alpha.items():
            for length, logit in zip(self._lengths(label), logits, strict=True):
                self._writer.add_scalar(f"alpha/{label}/{length}", logit, record.epoch)
        self._writer.flush()

    def _lengths(self, label: str) -> tuple[int, ...]:
        tower: Tower = "image" if label.startswith("image/") else "text"
        return self._space.towers[tower].lengths


def _discretise(clip: PromptedCLIP, choice: Mapping[str, int]) -> PromptedCLIP:
    """The chosen lengths with the supernet's own vectors, to validate the choice."""
    contexts: dict[Any, dict[int, Any]] = {}
    for label, layer in supermodules(clip).items():
        tower, _, index = label.partition("/")
        contexts.setdefault(tower, {})[int(index)] = layer[str(choice[label])]
    return PromptedCLIP(clip.backbone, contexts, offsets=clip.offsets)
