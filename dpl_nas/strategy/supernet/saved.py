"""A supernet on disk: it is saved after every epoch, and a resumed search starts from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from dpl_nas.errors import CheckpointError
from dpl_nas.io.run_files import SEARCH_STATE
from dpl_nas.training.state import check_images_of, load_state, save_state

__all__ = ["SavedSupernet"]


class SavedSupernet:
    """Parameters and optimizers of a supernet after its latest epoch.

    Parameters
    ----------
    folder
        Folder of the search; without one nothing is kept.
    most
        Number of epochs of the whole search.
    images
        Digest of the training images.

    Attributes
    ----------
    path
        Path of the file; ``None`` without a folder.
    epochs
        Number of epochs that were complete when this process began.
    seconds
        Duration of these epochs.
    history
        Plain values that the strategy kept with them.

    Raises
    ------
    CheckpointError
        If the file is damaged, or belongs to another search.
    """

    def __init__(self, folder: Path | None, most: int, images: str = "") -> None:
        self.path = folder / SEARCH_STATE if folder is not None else None
        state = load_state(self.path) if self.path is not None else None
        epochs = state.get("epochs") if state is not None else 0
        if state is not None and (
            not {"model", "optimizers"} <= set(state)
            or not isinstance(epochs, int)
            or not 1 <= epochs <= most
            or not isinstance(state.get("history", []), list)
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
        self.history: list[Any] = state.get("history", []) if state is not None else []

    def restore(self, model: nn.Module, optimizers: Sequence[Optimizer] = ()) -> None:
        """Load the saved state, if any, into ``model`` and, where they are given, optimizers."""
        if self._state is None:
            return
        model.load_state_dict(self._state["model"])
        if optimizers:
            for optimizer, state in zip(optimizers, self._state["optimizers"], strict=True):
                optimizer.load_state_dict(state)
        self._state = None

    def save(
        self,
        model: nn.Module,
        optimizers: Sequence[Optimizer],
        epochs: int,
        seconds: float,
        history: Sequence[Any] = (),
    ) -> None:
        """Save the state, with the number of complete epochs and their seconds.

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
                "optimizers": [each.state_dict() for each in optimizers],
                "epochs": epochs,
                "images": self._images,
                "seconds": seconds,
                "history": list(history),
            },
        )
