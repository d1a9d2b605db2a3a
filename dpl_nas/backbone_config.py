"""Which frozen CLIP is used, told without importing torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dpl_nas.io.validation import Frozen, Number

__all__ = ["BackboneConfig", "Precision"]

Precision = Literal["fp32", "bf16"]

_Mean = Annotated[Number, Field(ge=0, le=1)]
_Deviation = Annotated[Number, Field(gt=0, le=10)]


class BackboneConfig(Frozen):
    """A frozen CLIP.

    Attributes
    ----------
    model
        ``mini-clip``, which dpl_nas brings along, or a model of open_clip with transformer
        towers, such as ``ViT-B-16``.
    pretrained
        Where the weights come from. For ``mini-clip``: ``None`` (its own weights) or the path
        of another file. For others: a tag of open_clip such as ``openai``, the path of a
        ``.safetensors`` or ``.pt`` file, or ``random``; never silently random.
    precision
        Of matrix products and the frozen weights in them. With ``bf16``, hidden states between
        products, layer norms, soft-max and context vectors stay in float32 (autocast); its
        cost in accuracy is in docs/performance.md.
    seed
        Of the weights, where ``pretrained`` is ``random``.
    quick_gelu
        Whether the weights were trained with QuickGELU; ``None`` for what the tag, the model or
        the ``open_clip_config.json`` beside a file says.
    mean, std
        Of the pixels of each channel; ``None`` for what the tag or that file says, or else
        OpenAI's.
    """

    model: str = Field(default="mini-clip", min_length=1)
    pretrained: str | None = Field(default=None, min_length=1)
    precision: Precision = "fp32"
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 0
    quick_gelu: bool | None = None
    mean: tuple[_Mean, _Mean, _Mean] | None = None
    std: tuple[_Deviation, _Deviation, _Deviation] | None = None
