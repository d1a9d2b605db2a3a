"""The choice of the frozen CLIP, without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from dpl_nas.io.validation import Frozen, Number, PathText, Truth

__all__ = [
    "EMBEDDED",
    "EMBEDDED_LANGUAGE",
    "EMBEDDED_VISION",
    "HUGGING_FACE",
    "PLAIN",
    "TIMM",
    "BackboneConfig",
    "Precision",
]

#: The embedded CLIP, its image tower alone, and the embedded language model.
EMBEDDED, EMBEDDED_VISION = "mini-clip", "mini-vit"
EMBEDDED_LANGUAGE = "mini-lm"
#: What the names of timm's models, and of transformers' language models, begin with.
TIMM, HUGGING_FACE = "timm:", "hf:"

#: How the plain backbone answers, beside which designs are tested, by what stands for classes:
#: names in results, and what people write.
PLAIN: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "captions": {"zero_shot": "zero-shot"},
        "means": {"class_means": "class means", "linear_probe": "linear probe"},
        "words": {"zero_shot": "zero-shot"},
    }
)

Precision = Literal["fp32", "bf16"]

_Mean = Annotated[Number, Field(ge=0, le=1)]
_Deviation = Annotated[Number, Field(gt=0, le=10)]


class BackboneConfig(Frozen):
    """The choice of a frozen CLIP, or of a frozen model of images alone.

    Attributes
    ----------
    model
        ``mini-clip``, which comes with dpl_nas; a model of open_clip, such as ``ViT-B-16``;
        ``local-dir:FOLDER`` with an ``open_clip_config.json``; or ``hf-hub:OWNER/NAME``, also with
        ``@REVISION``. Of images alone: ``mini-vit``, the image tower of ``mini-clip``; or
        ``timm:MODEL``, a vision transformer of timm, also with ``.TAG`` of its weights. Of
        texts: ``hf:FOLDER`` or ``hf:OWNER/NAME``, a decoder of transformers, also with
        ``@REVISION``.
    pretrained
        Source of the weights. For ``mini-clip`` and ``mini-vit``: ``None`` (its own weights) or the
        path of another file. For models of timm: ``None`` (those of the tag), the path of a file,
        or ``random``. For others: a tag of open_clip such as ``openai``, which is downloaded once
        and then found in its cache; the path of a ``.safetensors`` or ``.pt`` file, or ``random``;
        never silently random. ``None`` takes the weights of a folder or of the Hub.
    precision
        Precision of matrix products and their frozen weights. With ``bf16``, hidden states between
        products, layer norms, soft-max and context vectors stay in float32 (autocast); its
        cost in accuracy is in docs/performance.md.
    seed
        Seed of the weights if ``pretrained`` is ``random``.
    quick_gelu
        Whether the weights were trained with QuickGELU; ``None`` for what the tag, the model or
        the ``open_clip_config.json`` beside a file says, or that a file is OpenAI's own archive
        (it carries ``input_resolution``). Where nothing says so, GELU is used, with a warning.
    mean, std
        Mean and sd of each channel's pixels; ``None`` for those of the tag or that file, or else
        OpenAI's.
    """

    model: str = Field(default=EMBEDDED, min_length=1)
    pretrained: PathText | None = None
    precision: Precision = "fp32"
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 0
    quick_gelu: Truth | None = None
    mean: tuple[_Mean, _Mean, _Mean] | None = None
    std: tuple[_Deviation, _Deviation, _Deviation] | None = None

    @property
    def classes_by(self) -> Literal["captions", "means", "words"]:
        """What stands for classes: captions, means of images' features, or words to go on with."""
        if self.model == EMBEDDED_LANGUAGE or self.model.startswith(HUGGING_FACE):
            return "words"
        alone = self.model == EMBEDDED_VISION or self.model.startswith(TIMM)
        return "means" if alone else "captions"
