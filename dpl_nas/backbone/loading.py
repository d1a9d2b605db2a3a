"""Loading of a frozen CLIP from a configuration."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip import CLIP, CoCa, CustomTextCLIP
from open_clip.pretrained import (
    download_pretrained,
    get_pretrained_cfg,
    list_pretrained_tags_by_model,
)
from open_clip.transform import PreprocessCfg
from torch import nn

from dpl_nas.backbone.beside import Beside, read_beside
from dpl_nas.backbone.checkpoint import Weights, fill, read_weights
from dpl_nas.backbone.frozen import Backbone, Tokenize
from dpl_nas.backbone.language_models import Reader, load_decoder
from dpl_nas.backbone.models import Model, find_model
from dpl_nas.backbone.timm_models import build_timm, load_timm, timm_transform
from dpl_nas.backbone_config import EMBEDDED, EMBEDDED_LANGUAGE, EMBEDDED_VISION, HUGGING_FACE, TIMM
from dpl_nas.errors import BackboneError, ConfigError, DplWarning, join_lines, shorten
from dpl_nas.io.arguments import checked
from dpl_nas.io.home import expand_home
from dpl_nas.io.validation import validate
from dpl_nas.space import BackboneConfig

__all__ = ["load_backbone"]


@checked()
def load_backbone(
    config: BackboneConfig | str, device: str | torch.device = "cpu", **settings: Any
) -> Backbone:
    """Load a frozen model by its configuration, or by its name and other settings of one.

    >>> load_backbone("ViT-B-32", pretrained="random", seed=1)  # doctest: +SKIP

    Raises
    ------
    BackboneError
        If the model or the device cannot be used, or its weights cannot be found.
    CheckpointError
        If a file of weights is truncated, foreign, or of another model.
    ConfigError
        If a setting is not valid, or there are settings beside a configuration.
    """
    if isinstance(config, str):
        own = {"model": config, **settings}
        config = validate(BackboneConfig, own, "load_backbone", ConfigError)
    elif settings:
        raise ConfigError(
            f"load_backbone: expected no settings beside a BackboneConfig, found "
            f"{', '.join(settings)}: give the name of a model, or put them into the configuration"
        )
    device = _usable(device)
    if config.model in (EMBEDDED, EMBEDDED_VISION):
        return _mini_clip(config).to(device)
    if config.model == EMBEDDED_LANGUAGE:
        return _mini_lm(config).to(device)
    if config.model.startswith(HUGGING_FACE):
        return _language(config).to(device)
    if config.model.startswith(TIMM):
        return _timm(config).to(device)
    found = find_model(config.model)
    model, transform = _open_clip(found, config)
    return Backbone.from_model(
        model,
        name=found.name,
        precision=config.precision,
        transform=transform,
        tokenize=_tokenizer(found),
    ).to(device)


def _tokenizer(model: Model) -> Tokenize:
    """The tokenizer that open_clip makes."""
    name = model.name
    try:
        made: Tokenize = open_clip.get_tokenizer(model.tokenizer)
    except ImportError as error:
        raise BackboneError(
            f"the tokenizer of {name} is one of Hugging Face's, which needs transformers: install "
            "it with pip install 'dpl_nas[hf]'"
        ) from error
    except (OSError, ValueError) as error:
        raise BackboneError(
            f"the tokenizer of {name} cannot be loaded ({shorten(join_lines(str(error)))}): load "
            "it once on a machine with a network, or copy Hugging Face's cache from there"
        ) from error
    return made


def _usable(device: str | torch.device) -> torch.device:
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        # torch's message lists the devices, or says that there is no driver; it is long.
        reason = str(error).splitlines()[0].split(". ")[0]
        raise BackboneError(
            f"device {device} cannot be used ({reason}): set it to cpu, cuda or cuda:N"
        ) from error
    return found


def _mini_clip(config: BackboneConfig) -> Backbone:
    from dpl_nas.mini.model import load_mini_clip, mini_preprocess, mini_tokenizer, seen_tokens

    if (config.quick_gelu, config.mean, config.std) != (None, None, None):
        raise BackboneError(
            f"{config.model} brings its own quick_gelu, mean and std: leave them out"
        )
    path = None if config.pretrained is None else _file(config.pretrained)
    clip = load_mini_clip(path)
    if config.model == EMBEDDED_VISION:
        return Backbone.from_model(
            clip.visual,
            name=config.model,
            precision=config.precision,
            preprocess=mini_preprocess(),
        )
    return Backbone.from_model(
        clip,
        name=config.model,
        precision=config.precision,
        preprocess=mini_preprocess(),
        tokenize=mini_tokenizer(),
        seen=seen_tokens(path),
    )


def _timm(config: BackboneConfig) -> Backbone:
    if config.quick_gelu is not None:
        raise BackboneError(f"{config.model} brings its own activation: leave quick_gelu out")
    if config.pretrained == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = build_timm(config.model)
    else:
        model = load_timm(config.model, _existing(config.pretrained))
    return Backbone.from_model(
        model,
        name=config.model,
        precision=config.precision,
        preprocess=timm_transform(model, config.mean, config.std),
    )


def _mini_lm(config: BackboneConfig) -> Backbone:
    from dpl_nas.glosses.model import CONTEXT_LENGTH, load_gloss_decoder
    from dpl_nas.glosses.tokens import load_gloss_tokenizer

    if (config.quick_gelu, config.mean, config.std) != (None, None, None):
        raise BackboneError(f"{config.model} has no quick_gelu, mean and std: leave them out")
    path = None if config.pretrained is None else _file(config.pretrained)
    try:
        model, tokenizer = load_gloss_decoder(path), load_gloss_tokenizer()
    except ConfigError as error:
        raise BackboneError(str(error)) from error
    return _reading(model, Reader(tokenizer, CONTEXT_LENGTH), config)


def _language(config: BackboneConfig) -> Backbone:
    given = (config.quick_gelu, config.mean, config.std)
    if given != (None, None, None) or config.pretrained not in (None, "random"):
        raise BackboneError(
            f"{config.model} brings all of its settings: leave out quick_gelu, mean and std, and "
            "pretrained unless it is random"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model, reader = load_decoder(config.model, random=config.pretrained == "random")
    return _reading(model, reader, config)


def _reading(model: nn.Module, reader: Reader, config: BackboneConfig) -> Backbone:
    return Backbone.from_model(
        model, name=config.model, precision=config.precision, preprocess=reader
    )


def _existing(pretrained: str | None) -> Path | None:
    """The path of a file of weights that is there."""
    if pretrained is None:
        return None
    path = _file(pretrained)
    if not path.is_file():
        raise BackboneError(
            f"{shorten(pretrained)} is no file of weights: set space.backbone.pretrained to the "
            "path of one, or random, or leave it out for those of timm"
        )
    return path


def _file(pretrained: str) -> Path:
    try:
        return Path(expand_home(pretrained))
    except ValueError as problem:
        raise BackboneError(
            f"space.backbone.pretrained: {problem} (found {shorten(pretrained)})"
        ) from None


def _open_clip(
    found: Model, config: BackboneConfig
) -> tuple[CLIP | CustomTextCLIP | CoCa, PreprocessCfg]:
    name, architecture = found.name, found.config
    if config.pretrained == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            return _build(architecture, config.quick_gelu), _transform({}, config)

    tag, path = _source(found, config.pretrained)
    weights = read_weights(path)
    beside = None if tag else read_beside(path, name, architecture)
    activation = config.quick_gelu
    if activation is None:
        activation = _quick_gelu(architecture, tag, weights, beside)
    model = _build(architecture, bool(activation))
    fill(model, weights, str(path), name)
    if activation is None:
        warnings.warn(
            f"{path} does not say whether it was trained with GELU or QuickGELU, so GELU is used: "
            "set space.backbone.quick_gelu to true or false",
            DplWarning,
            stacklevel=3,
        )
    return model, _transform(tag or (beside.preprocessing if beside else {}), config)


def _source(found: Model, pretrained: str | None) -> tuple[Mapping[str, Any], Path]:
    """Return what open_clip knows of a tag (empty for a file), and the file of weights."""
    name, own = found.name, found.weights
    tags = list_pretrained_tags_by_model(name)
    a_tag = f"one of its tags ({', '.join(tags)}), " if tags else ""
    remedy = f"set space.backbone.pretrained to {a_tag}the path of a file, or random"
    if pretrained is None:
        if own is None:
            raise BackboneError(f"{name} needs weights: {remedy}")
        return {}, own
    tag = get_pretrained_cfg(name, pretrained)
    if tag:
        return tag, _download(tag, name, pretrained)
    path = _file(pretrained)
    if path.is_dir():
        raise BackboneError(f"{path} is a folder, not a file of weights: {remedy}")
    if not path.exists():
        raise BackboneError(
            f"{shorten(pretrained)} is neither a tag of {name} nor a file: {remedy}"
        )
    return {}, path


def _quick_gelu(
    architecture: Mapping[str, Any],
    tag: Mapping[str, Any],
    weights: Weights,
    beside: Beside | None,
) -> bool | None:
    """Return whether the weights were trained with QuickGELU; ``None`` if unknown."""
    # The tag determines the weights; a model's plain name can mean either.
    if tag.get("quick_gelu") or architecture.get("quick_gelu") or weights.openai:
        return True
    if beside is not None:
        return beside.quick_gelu
    return False if tag else None


def _build(
    architecture: Mapping[str, Any], quick_gelu: bool | None = None
) -> CLIP | CustomTextCLIP | CoCa:
    settings = dict(architecture)
    # All weights are of one file: parts of them would only be downloaded for nothing.
    for part, key in (("vision_cfg", "timm_model_pretrained"), ("text_cfg", "hf_model_pretrained")):
        settings[part] = settings[part] | {key: False}
    named = settings["text_cfg"].get("hf_model_name")
    # As open_clip decides: a tower of Hugging Face's is never a CLIP's own.
    custom = settings.pop("custom_text", False) or named is not None
    kind = CoCa if "multimodal_cfg" in settings else CustomTextCLIP if custom else CLIP
    if quick_gelu is not None:
        settings["quick_gelu"] = quick_gelu
    try:
        return kind(**settings)
    except (RuntimeError, OSError) as error:
        if named is None:
            raise
        raise BackboneError(
            f"the text tower {named} cannot be built ({shorten(join_lines(str(error)))}): install "
            "transformers with pip install 'dpl_nas[hf]', and load the tower once with a network"
        ) from error


def _download(tag: Mapping[str, Any], name: str, pretrained: str) -> Path:
    try:
        return Path(download_pretrained(dict(tag)))
    except Exception as error:
        # Each transport (urllib, the hub's client, httpx) raises its own errors.
        raise BackboneError(
            f"the weights {pretrained} of {name} could not be downloaded "
            f"({type(error).__name__}): download them on a machine with a network, and set "
            "space.backbone.pretrained to the path of the file"
        ) from error


def _transform(found: Mapping[str, Any], config: BackboneConfig) -> PreprocessCfg:
    known = {field.name for field in fields(PreprocessCfg)}
    asked = {"mean": config.mean, "std": config.std}
    given = {key: value for key, value in found.items() if key in known}
    return PreprocessCfg(**{**given, **{key: part for key, part in asked.items() if part}})
