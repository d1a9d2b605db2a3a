"""Optimizers of context vectors, and the learning rate of an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from dpl_nas.config import OptimizerSettings

__all__ = ["build_optimizer", "learning_rate", "set_learning_rate"]


def build_optimizer(
    parameters: Iterable[nn.Parameter], settings: OptimizerSettings
) -> torch.optim.Optimizer:
    """The optimizer that ``settings`` names, at its initial learning rate."""
    if settings.name == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
    kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    return kind(
        parameters, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay
    )


def learning_rate(settings: OptimizerSettings, epoch: int, epochs: int) -> float:
    """The rate in ``epoch`` (from 0) of ``epochs``: warm-up, then constant or cosine to 0.

    A function of the epoch alone, so that a resumed run needs no scheduler state. As in
    CoOp, the cosine counts the warm-up epochs too.
    """
    if epoch < settings.warmup_epochs:
        return settings.warmup_lr
    if settings.schedule == "constant":
        return settings.lr
    return settings.lr * 0.5 * (1.0 + math.cos(math.pi * epoch / epochs))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate
