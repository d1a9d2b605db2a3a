"""Inputs of the training of a model or a stack of models: hidden states where they are constant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import torch
from torch import Tensor

from dpl_nas.prompted import AdaptedCLIP, ImageStates, StackedCLIP, StackedStates
from dpl_nas.training.batches import FewShotImages
from dpl_nas.training.distributed import ALONE, Ranks
from dpl_nas.training.teacher import Teacher

__all__ = ["TrainingInputs"]

#: Hidden states that are kept instead of being computed anew for every batch, at most.
_KEPT_BYTES = 1 << 30
_BATCH = 64

#: Images or what the model makes of them, labels, opinions.
Batch = tuple[Any, Tensor, "Tensor | None"]


class TrainingInputs:
    """Batches of inputs for ``model``, labels, and a teacher's opinions.

    The layers before the first context are frozen. Of images that are the same in every epoch
    they are run once, as is the teacher, where the results fit into memory.

    Parameters
    ----------
    constant
        Whether the images are the same in every epoch: they are not augmented.
    teacher
        ``None`` where the loss asks nobody.
    """

    def __init__(
        self,
        images: FewShotImages,
        model: AdaptedCLIP | StackedCLIP,
        teacher: Teacher | None,
        *,
        constant: bool,
    ) -> None:
        self._images = images
        self._model = model
        self._teacher = teacher
        self._states: ImageStates | StackedStates | None = None
        self._opinions: Tensor | None = None
        if constant:
            self._run_once()

    def __len__(self) -> int:
        return len(self._images)

    @property
    def labels(self) -> Tensor:
        """Label of each image (images,)."""
        return self._images.labels

    def batches(
        self, jobs: Sequence[tuple[Sequence[int], int]], ranks: Ranks = ALONE
    ) -> Iterator[Batch]:
        """Yield, for each ``(rows, seed)``: inputs, labels (batch,), opinions or ``None``.

        With several processes, each batch is only this process's part.
        """
        if self._states is None:
            with closing(self._images.batches(jobs, ranks)) as batches:
                for images, labels in batches:
                    yield images, labels, self._teacher.opinions(images) if self._teacher else None
            return
        for rows, _ in jobs:
            mine = rows[ranks.part(len(rows))]
            chosen = torch.tensor(mine, device=self._model.backbone.device)
            opinions = None if self._opinions is None else self._opinions[chosen]
            labels = self._images.labels[list(mine)].to(chosen.device, non_blocking=True)
            yield self._states[chosen], labels, opinions

    def _run_once(self) -> None:
        parts: list[Any] = []
        opinions: list[Tensor] = []
        for rows in self._images.parts(_BATCH):
            images, _ = self._images.batch(rows, seed=0)
            parts.append(self._model.image_states(images))
            if parts[-1].nbytes / len(rows) * len(self._images) > _KEPT_BYTES:
                return
            if self._teacher is not None:
                opinions.append(self._teacher.opinions(images))
        self._states = type(parts[0]).join(parts)
        self._opinions = torch.cat(opinions) if opinions else None
