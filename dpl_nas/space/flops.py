"""FLOPs of context vectors when images are classified, from the backbone's sizes."""

from __future__ import annotations

from typing import Any

from dpl_nas.backbone_config import EMBEDDED, EMBEDDED_VISION
from dpl_nas.errors import BackboneError
from dpl_nas.io.validation import Frozen

__all__ = ["TowerSize", "flops_per_vector", "image_tower_size", "plain_flops"]


class TowerSize(Frozen):
    """The sizes that decide the FLOPs of a transformer tower.

    Attributes
    ----------
    layers
        Number of pre-norm blocks.
    tokens
        Number of tokens per sequence; for an image, the patches and the class token.
    width, mlp_width
        Width of the hidden tokens, and of the hidden layer of each MLP.
    """

    layers: int
    tokens: int
    width: int
    mlp_width: int


#: The embedded CLIP: 32 x 32 pixels in patches of 8 x 8. Its own module needs torch.
_MINI_CLIP = TowerSize(layers=12, tokens=17, width=96, mlp_width=384)


def flops_per_vector(size: TowerSize) -> int:
    """Return the FLOPs that one context vector at one layer adds to one sequence's forward pass.

    ``4 * tokens * width``: each token's query meets one key more (``2 * width``), and one value
    more is weighed into each token (``2 * width``). As is usual, a multiplication and an
    addition are two FLOPs, and softmax is left out (Chowdhery et al. 2022, arXiv 2204.02311,
    appendix B, whose 12 L H Q T for a forward and a backward pass is 4 L H Q T forward). Key and
    value of a trained context vector depend on no image: their projection,
    ``4 * width ** 2``, is done once and not counted.
    """
    return 4 * size.tokens * size.width


def plain_flops(size: TowerSize) -> int:
    """Return the FLOPs of a tower's blocks without context vectors, for one sequence.

    For each layer, ``8 * tokens * width ** 2`` for queries, keys, values and the output
    projection, ``4 * tokens ** 2 * width`` for the attention and
    ``4 * tokens * width * mlp_width`` for the MLP, counted as in :func:`flops_per_vector`.
    Patch embedding and final projection, below 1% in ViT-B/16, are left out.
    """
    tokens, width = size.tokens, size.width
    attention = 8 * tokens * width**2 + 4 * tokens**2 * width
    return size.layers * (attention + 4 * tokens * width * size.mlp_width)


def image_tower_size(model: str) -> TowerSize:
    """Return the image tower's sizes for ``mini-clip`` or a model of open_clip, without weights.

    Raises
    ------
    BackboneError
        If open_clip does not know the model, or its image tower is not a vision transformer.
    """
    if model in (EMBEDDED, EMBEDDED_VISION):
        return _MINI_CLIP
    # Only this needs open_clip, which imports torch.
    import open_clip

    # OpenAI writes ViT-B/16; a colon would make open_clip look elsewhere.
    config = open_clip.get_model_config(model.replace("/", "-")) if ":" not in model else None
    image: dict[str, Any] = (config or {}).get("vision_cfg", {})
    if not image or image.get("timm_model_name") or not isinstance(image.get("layers", 12), int):
        raise BackboneError(
            "expected mini-clip or a vision transformer of open_clip, whose FLOPs are known, found "
            f"{model}"
        )
    # Where a configuration is silent, open_clip's own defaults (CLIPVisionCfg).
    width = int(image.get("width", 768))
    grid = int(image.get("image_size", 224)) // int(image.get("patch_size", 16))
    return TowerSize(
        layers=int(image.get("layers", 12)),
        tokens=grid**2 + 1,
        width=width,
        mlp_width=int(width * image.get("mlp_ratio", 4.0)),
    )
