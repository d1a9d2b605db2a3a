"""The training loop of a model or a stack of models: its epochs, and the state to resume from."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dpl_nas.backbone import TextInputs
from dpl_nas.config import OptimizerSettings, TrainSettings
from dpl_nas.errors import CheckpointError, ConfigError
from dpl_nas.observer import Observer
from dpl_nas.prompted import AdaptedCLIP, StackedCLIP
from dpl_nas.seeds import derive_seed
from dpl_nas.training.batches import balanced_rows, epoch_rows
from dpl_nas.training.distributed import Ranks
from dpl_nas.training.inputs import TrainingInputs
from dpl_nas.training.losses import Loss
from dpl_nas.training.optimizers import build_optimizer, learning_rate, set_learning_rate
from dpl_nas.training.state import check_images_of, check_layout, load_state, save_state

__all__ = ["TrainingLoop"]


class TrainingLoop:
    """Training of what ``model`` learns on ``inputs``, to minimise ``loss``.

    Models of a stack are trained side by side, each as it is alone.

    Parameters
    ----------
    text
        Captions of all classes.
    settings
        The recipe; ``loss`` replaces its settings of the loss.
    seed
        Seed of the order of the images and of their augmentation.
    stage
        Name of the stage for ``observer``.
    ranks
        Rank of this process among those that share every batch.
    averaging
        Weights of the epochs, summing to 1: what is learned is then the weighted mean of what was
        there after each epoch (Khattak et al. 2023, section 3.3).
    """

    def __init__(
        self,
        model: AdaptedCLIP | StackedCLIP,
        inputs: TrainingInputs,
        text: TextInputs,
        loss: Loss,
        settings: TrainSettings,
        seed: int,
        observer: Observer,
        stage: str,
        ranks: Ranks,
        averaging: Sequence[float] | None = None,
    ) -> None:
        self._model = model
        self._inputs = inputs
        self._text = text
        self._loss = loss
        self._settings = settings
        self._seed = seed
        self._observer = observer
        self._stage = stage
        self._ranks = ranks
        self._averaging = averaging
        self._mean = _zeros(model) if averaging is not None else {}
        self._optimizer = build_optimizer(model.parameters(), settings.optimizer)
        ranks.sum_gradients(self._optimizer)

    def run(self, epochs: int, state: Path | None, images: str) -> None:
        """Train up to ``epochs``; save the state after each in ``state``, and resume from it.

        Parameters
        ----------
        images
            Digest of the training data, which must match that of the state.

        Raises
        ------
        ConfigError
            If the loss or what is learned stops being finite numbers.
        CheckpointError
            If ``state`` is damaged or of another training.
        """
        done = self._restore(state, images)
        self._observer.begin(self._stage, epochs, done)
        for epoch in range(done, epochs):
            started = time.perf_counter()
            loss, accuracy = self._epoch(epoch)
            if not math.isfinite(loss):
                raise ConfigError(
                    f"the training loss became {loss} in epoch {epoch}: {self._remedy()}"
                )
            # The last step may spoil what is learned, and no loss is computed after it.
            if not all(bool(each.isfinite().all()) for each in self._model.parameters()):
                raise ConfigError(
                    f"what is learned was not finite after epoch {epoch}: {self._remedy()}"
                )
            self._average(epoch)
            if state is not None and self._ranks.first:
                self._save(state, epoch + 1, images)
            self._observer.advance(
                self._stage,
                epoch + 1,
                {
                    "loss": loss,
                    "train_accuracy": accuracy,
                    "seconds": time.perf_counter() - started,
                },
            )
        if self._averaging is not None and max(done, epochs) == self._settings.epochs:
            self._model.load_state_dict(self._mean)
        self._observer.end(self._stage)

    @torch.no_grad()
    def _average(self, epoch: int) -> None:
        if self._averaging is not None:
            for name, value in self._model.state_dict().items():
                self._mean[name] += self._averaging[epoch] * value

    def _epoch(self, epoch: int) -> tuple[float, float]:
        settings = self._settings
        set_learning_rate(
            self._optimizer, learning_rate(settings.optimizer, epoch, settings.epochs)
        )
        # The sum of the losses and the number of right answers.
        total = torch.zeros(2, device=self._model.backbone.device)
        order = self._order(epoch)
        jobs = [
            (rows, derive_seed(self._seed, "augment", epoch, step))
            for step, rows in enumerate(order)
        ]
        batches = self._inputs.batches(jobs, self._ranks)
        for step, (rows, batch) in enumerate(zip(order, batches, strict=True)):
            inputs, labels, opinions = batch
            weight = self._ranks.weight(len(rows))
            with self._draws(epoch, step):
                each = self._model.each_outputs(inputs, self._text)
                losses = [self._loss(outputs, labels, opinions) for outputs in each]
                # No model's loss depends on another's vectors: the sum has the gradients of each.
                loss = torch.stack(losses).sum()
                self._optimizer.zero_grad()
                (loss * weight).backward()
            self._optimizer.step()
            logits = torch.stack([outputs.logits.detach() for outputs in each])
            right = (logits.argmax(dim=-1) == labels).sum() * bool(weight)
            total += torch.stack([loss.detach() * (weight * len(rows)), right]) / len(each)
        loss, accuracy = (self._ranks.total(total) / len(self._inputs)).tolist()
        return loss, accuracy

    @contextmanager
    def _draws(self, epoch: int, step: int) -> Iterator[None]:
        """Let a step draw at random (dropout) from a stream of its own, and from no other."""
        if not self._model.draws:
            yield
            return
        device = self._model.backbone.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            # Each of several processes draws for images of its own.
            torch.manual_seed(derive_seed(self._seed, "draws", epoch, step, self._ranks.rank))
            yield

    def _order(self, epoch: int) -> list[list[int]]:
        size = self._settings.batch_size
        if self._settings.balance == "batches":
            return balanced_rows(self._inputs.labels.tolist(), size, self._seed, epoch)
        return epoch_rows(len(self._inputs), size, self._seed, epoch)

    def _restore(self, path: Path | None, images: str) -> int:
        saved = load_state(path) if path is not None else None
        if path is None or saved is None:
            return 0
        expected = {
            "contexts": self._model.state_dict(),
            "optimizer": _make_step(self._model, self._settings.optimizer).state_dict(),
            "epochs": self._settings.epochs,
            "images": images,
            **self._average_state(),
        }
        check_layout(path, saved, expected)
        check_images_of(path, saved["images"], images)
        if not 1 <= saved["epochs"] <= self._settings.epochs:
            raise CheckpointError(
                f"{path} should hold 1 to {self._settings.epochs} epochs, found "
                f"{saved['epochs']}: remove it to start that stage afresh"
            )
        self._model.load_state_dict(saved["contexts"])
        # The settings are this run's own, so they are taken from no file.
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict(
            {"state": saved["optimizer"]["state"], "param_groups": groups}
        )
        device = self._model.backbone.device
        self._mean = {key: each.to(device) for key, each in saved.get("mean", {}).items()}
        return int(saved["epochs"])

    def _average_state(self) -> dict[str, Any]:
        return {} if self._averaging is None else {"mean": self._mean}

    def _remedy(self) -> str:
        more = f", or {self._loss.remedy}" if self._loss.remedy else ""
        return f"lower train.optimizer.lr{more}"

    def _save(self, path: Path, epochs: int, images: str) -> None:
        save_state(
            path,
            {
                "contexts": self._model.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "epochs": epochs,
                "images": images,
                **self._average_state(),
            },
        )


def _zeros(model: nn.Module) -> dict[str, Tensor]:
    return {name: torch.zeros_like(value) for name, value in model.state_dict().items()}


def _make_step(model: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """An optimizer that made a step on copies of the parameters: its state has the layout."""
    parameters = [nn.Parameter(torch.zeros_like(each.detach())) for each in model.parameters()]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer = build_optimizer(parameters, settings)
    optimizer.step()
    return optimizer
