"""A model space that NNI keeps as a name, not as the weights of a CLIP."""

from __future__ import annotations

from pathlib import Path

from dpl_nas.backbone import load_backbone
from dpl_nas.nni.model_space import PromptSpace
from dpl_nas.space import load_space

__all__ = ["NamedPromptSpace"]


class NamedPromptSpace(PromptSpace):
    """A :class:`~dpl_nas.nni.model_space.PromptSpace` for ``nni.nas.experiment.NasExperiment``.

    NNI's default engine sends the model space to every trial, and refuses one that takes more
    than 64 KB. Of this one it sends the arguments, and each trial loads the backbone again.

    Parameters
    ----------
    space
        A packaged space, or the absolute path of a YAML file: NNI starts trials elsewhere.
    seed
        How the context vectors start.
    device
        Where the backbone is.

    Raises
    ------
    SpaceError
        If there is no such space, or it names a layer that the backbone does not have.
    """

    def __init__(self, space: str | Path, seed: int = 1, device: str = "cpu") -> None:
        chosen = load_space(space)
        super().__init__(chosen, load_backbone(chosen.backbone, device), seed=seed)
