"""A supernet on disk: saved after every epoch, and where a search goes on."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl
from torch import nn

from dpl_nas.errors import CheckpointError
from dpl_nas.io.run_files import SEARCH_STATE
from dpl_nas.training.state import check_images_of, load_state, save_state

__all__ = ["SavedSupernet"]


class SavedSupernet:
    """Parameters and optimizers of a supernet after its latest epoch.

    Parameters
    ----------
    folder
        Of the search; without one nothing is kept.
    most
        Epochs of the whole search.
    images
        A digest of those that it is trained on.

    Attributes
    ----------
    path
        Of the file; ``None`` without a folder.
    epochs
        How many were complete when this process began.
    seconds
        That they took.

    Raises
    ------
    CheckpointError
        If the file is damaged, or of something else.
    """

    def __init__(self, folder: Path | None, most: int, images: str = "") -> None:
        self.path = folder / SEARCH_STATE if folder is not None else None
        state = load_state(self.path) if self.path is not None else None
        epochs = state.get("epochs") if state is not None else 0
        if state is not None and (
            not {"model", "optimizers"} <= set(state)
            or not isinstance(epochs, int)
            or not 1 <= epochs <= most
        ):
            raise CheckpointError(
                f"{self.path} should hold 1 to {most} epochs of a supernet, found {epochs}: remove "
                "it to start afresh"
            )
        if state is not None and self.path is not None:
            check_images_of(self.path, state.get("images"), images)
        self._images = images
        self._state = state
        self.epochs = int(epochs or 0)
        self.seconds = float(state.get("seconds", 0.0)) if state is not None else 0.0

    def restore(self, model: nn.Module, trainer: pl.Trainer | None = None) -> None:
        """Put what was saved, if anything was, into ``model`` and the optimizers of ``trainer``."""
        if self._state is None:
            return
        model.load_state_dict(self._state["model"])
        if trainer is not None:
            saved = self._state["optimizers"]
            for optimizer, state in zip(trainer.optimizers, saved, strict=True):
                optimizer.load_state_dict(state)
        self._state = None

    def save(self, model: nn.Module, trainer: pl.Trainer, epochs: int, seconds: float) -> None:
        """Keep all of it, with how many epochs are complete and the seconds that they took.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        if self.path is None:
            return
        save_state(
            self.path,
            {
                "model": model.state_dict(),
                "optimizers": [each.state_dict() for each in trainer.optimizers],
                "epochs": epochs,
                "images": self._images,
                "seconds": seconds,
            },
        )
