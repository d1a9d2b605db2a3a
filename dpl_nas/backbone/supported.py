"""The models of open_clip that can carry context vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import open_clip
from open_clip.transformer import ResidualAttentionBlock, TextTransformer, VisionTransformer

from dpl_nas.errors import BackboneError
from dpl_nas.space import TOWERS, Tower

__all__ = [
    "model_config",
    "objection",
    "objection_to_config",
    "supported_models",
    "tower_depths",
]

#: Settings of a tower under which its blocks are no longer plain pre-norm blocks.
_OTHER_ATTENTION = (
    "qk_norm",
    "scaled_cosine_attn",
    "scale_heads",
    "scale_attn_inner",
    "scale_attn",
    "scale_fc",
)
_OTHER_BLOCKS = "its attention blocks are not plain pre-norm blocks"


def supported_models() -> list[str]:
    """The names of open_clip's models whose two towers can carry context vectors.

    The configurations decide; no model is built.
    """
    return [
        name
        for name in open_clip.list_models()
        if objection_to_config(open_clip.get_model_config(name)) is None
    ]


def model_config(model: str) -> dict[str, Any]:
    """open_clip's configuration of a supported model.

    Raises
    ------
    BackboneError
        If the model is unknown or of an unsupported kind; the message lists supported models.
    """
    # OpenAI writes ViT-B/16; a colon would make open_clip look elsewhere.
    config = open_clip.get_model_config(model.replace("/", "-")) if ":" not in model else None
    reason = "open_clip does not know it" if config is None else objection_to_config(config)
    if config is None or reason is not None:
        raise BackboneError(
            f"{model} cannot be the backbone, since {reason}; take one of mini-clip, "
            f"{', '.join(supported_models())}"
        )
    return dict(config)


def tower_depths(model: str) -> dict[Tower, int]:
    """Return the number of layers of each tower of a model, without loading its weights.

    Raises
    ------
    BackboneError
        If the model is unknown or of an unsupported kind.
    """
    if model == "mini-clip":
        from dpl_nas.mini.model import MINI_CONFIG

        return dict.fromkeys(TOWERS, MINI_CONFIG.layers)
    config = model_config(model)
    # open_clip's own default depth.
    return {
        "image": int(config["vision_cfg"].get("layers", 12)),
        "text": int(config["text_cfg"].get("layers", 12)),
    }


def objection_to_config(config: Mapping[str, Any]) -> str | None:
    """The reason why this configuration of open_clip is not supported, or ``None``."""
    if "multimodal_cfg" in config:
        return "it is a CoCa"
    image, text = config["vision_cfg"], config["text_cfg"]
    for tower in (image, text):
        if tower.get("block_type") == "custom" or any(tower.get(key) for key in _OTHER_ATTENTION):
            return _OTHER_BLOCKS
    return _objection_to_image(image) or _objection_to_text(text)


def _objection_to_image(image: Mapping[str, Any]) -> str | None:
    if image.get("timm_model_name"):
        return f"its image tower is the timm model {image['timm_model_name']}"
    if not isinstance(image.get("layers", 12), int):
        return "its image tower is a ResNet"
    if image.get("attentional_pool"):
        return "its image tower has an attentional pooler"
    if image.get("pool_type", "tok") not in ("tok", "avg"):
        return f"its image tower pools by {image['pool_type']}, not by tok or avg"
    return None


def _objection_to_text(text: Mapping[str, Any]) -> str | None:
    if text.get("hf_model_name"):
        return f"its text tower is the Hugging Face model {text['hf_model_name']}"
    if text.get("no_causal_mask") or text.get("embed_cls"):
        return "its text tower is not causal"
    if text.get("pool_type", "argmax") != "argmax":
        return f"its text tower pools by {text['pool_type']}, not at the end-of-text token"
    if text.get("hf_tokenizer_name"):
        return f"its tokenizer is the Hugging Face tokenizer {text['hf_tokenizer_name']}"
    return None


def objection(model: Any) -> str | None:
    """The reason why this model in memory is not supported, or ``None``."""
    visual, text = getattr(model, "visual", None), getattr(model, "text", model)
    kind = type(model).__name__
    if not isinstance(model, (open_clip.CLIP, open_clip.CustomTextCLIP)):
        return f"it is a {kind}, not a CLIP of open_clip"
    if not isinstance(visual, VisionTransformer):
        return f"its image tower is a {type(visual).__name__}"
    if visual.attn_pool is not None:
        return "its image tower has an attentional pooler"
    if visual.pool_type not in ("tok", "avg"):
        return f"its image tower pools by {visual.pool_type}, not by tok or avg"
    if text is not model and not isinstance(text, TextTransformer):
        return f"its text tower is a {type(text).__name__}"
    if text.attn_mask is None or getattr(text, "cls_emb", None) is not None:
        return "its text tower is not causal"
    pool = text.text_pool_type if text is model else text.pool_type
    if pool != "argmax":
        return f"its text tower pools by {pool}, not at the end-of-text token"
    blocks = [*visual.transformer.resblocks, *text.transformer.resblocks]
    if not all(type(block) is ResidualAttentionBlock for block in blocks):
        return _OTHER_BLOCKS
    return None
