"""The file that open_clip's hub publishes beside weights: ``open_clip_config.json``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from pydantic import BaseModel, Field

from dpl_nas.errors import BackboneError, CheckpointError
from dpl_nas.io.files import read_json
from dpl_nas.io.validation import validate
from dpl_nas.io.yaml_values import abbreviate

__all__ = ["NAME", "Beside", "read_beside", "read_model"]

NAME = "open_clip_config.json"
#: Keys about the origin of weights and tokens, or about training only.
_OF_NO_ACCOUNT = {"patch_dropout", "output_tokens", "hf_model_pretrained", "timm_model_pretrained"}


@dataclass(frozen=True)
class Beside:
    """The facts that the file states about the weights.

    Attributes
    ----------
    quick_gelu
        Whether the weights were trained with QuickGELU.
    preprocessing
        Settings of :class:`open_clip.transform.PreprocessCfg`.
    """

    quick_gelu: bool
    preprocessing: Mapping[str, Any]


class _Preprocessing(BaseModel):
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    interpolation: str | None = Field(default=None, pattern="^(bicubic|bilinear|random)$")
    resize_mode: str | None = Field(default=None, pattern="^(shortest|longest|squash)$")
    fill_color: int | None = None


class _Model(BaseModel):
    embed_dim: int
    quick_gelu: bool = False
    vision_cfg: dict[str, Any]
    text_cfg: dict[str, Any]


class _File(BaseModel):
    model_cfg: _Model
    preprocess_cfg: _Preprocessing = _Preprocessing()


def read_model(file: Path) -> dict[str, Any]:
    """Return the configuration of the model that a file describes.

    Raises
    ------
    CheckpointError
        If it cannot be read, or describes no model.
    """
    content = read_json(file)
    validate(_File, content, str(file), CheckpointError)
    model: dict[str, Any] = content["model_cfg"]
    return model


def read_beside(weights: Path, name: str, architecture: Mapping[str, Any]) -> Beside | None:
    """Read the file beside ``weights``; return ``None`` if there is none.

    Parameters
    ----------
    name, architecture
        Name and open_clip configuration of the model that takes the weights.

    Raises
    ------
    CheckpointError
        If the file cannot be read.
    BackboneError
        If the file belongs to another model.
    """
    file = weights.with_name(NAME)
    if not os.path.lexists(file):
        return None
    found = validate(_File, read_json(file), str(file), CheckpointError)
    model = found.model_cfg
    try:
        different = [
            f"{part}.{key} is {abbreviate(given)} in the file, {abbreviate(asked[key])} in {name}"
            for part, kind, settings in (
                ("vision_cfg", CLIPVisionCfg, model.vision_cfg),
                ("text_cfg", CLIPTextCfg, model.text_cfg),
            )
            for asked in (asdict(kind(**architecture[part])),)
            for key, given in asdict(kind(**settings)).items()
            if given != asked[key] and key not in _OF_NO_ACCOUNT
        ]
    except TypeError as error:
        raise CheckpointError(
            f"{file} has settings that this version of open_clip does not know: {error}"
        ) from error
    if model.embed_dim != architecture["embed_dim"]:
        different.append(
            f"embed_dim is {model.embed_dim} in the file, {architecture['embed_dim']} in {name}"
        )
    if architecture.get("quick_gelu") and not model.quick_gelu:
        different.append(f"quick_gelu is false in the file, true in {name}")
    if different:
        raise BackboneError(
            f"{file} describes another model than {name}: {different[0]}; set "
            "space.backbone.model to the model of the file"
        )
    return Beside(model.quick_gelu, found.preprocess_cfg.model_dump(exclude_none=True))
