"""A model space that NNI stores as a name, without the weights of a CLIP."""

from __future__ import annotations

from dpl_nas.backbone import load_backbone
from dpl_nas.io.paths import AnyPath
from dpl_nas.nni.model_space import PromptSpace
from dpl_nas.space import load_space

__all__ = ["NamedPromptSpace"]


class NamedPromptSpace(PromptSpace):
    """A :class:`~dpl_nas.nni.model_space.PromptSpace` for ``nni.nas.experiment.NasExperiment``.

    NNI's default engine sends the model space to every trial, and refuses one of more than 64 KB.
    From this space it sends the arguments only, and each trial loads the backbone again.

    Parameters
    ----------
    space
        Name of a packaged space, or absolute path of a YAML file: NNI starts trials elsewhere.
    seed
        Seed of the context vectors' initial values.
    device
        Device of the backbone.

    Raises
    ------
    SpaceError
        If there is no such space, or it names a layer that the backbone does not have.
    """

    def __init__(self, space: AnyPath, seed: int = 1, device: str = "cpu") -> None:
        chosen = load_space(space)
        super().__init__(chosen, load_backbone(chosen.backbone, device), seed=seed)
