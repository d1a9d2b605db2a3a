"""Methods by their names."""

from __future__ import annotations

import importlib
from typing import Any

from dpl_nas.errors import ConfigError
from dpl_nas.io.validation import validate
from dpl_nas.methods.method import Method

__all__ = ["METHODS", "make_method", "method_class", "name_of"]

#: Module in this room, class, and settings that the name stands for.
METHODS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "zero-shot": ("zero_shot", "ZeroShot", {}),
    "zero-shot-ensemble": ("zero_shot", "ZeroShot", {"captions": "ensemble"}),
    "class-means": ("class_means", "ClassMeans", {}),
    "linear-probe": ("linear_probe", "LinearProbe", {}),
    "tip-adapter": ("tip_adapter", "TipAdapter", {}),
    "tip-adapter-f": ("tip_adapter", "TipAdapterF", {}),
    "coop": ("coop", "CoOp", {}),
    "cocoop": ("cocoop", "CoCoOp", {}),
    "vpt": ("vpt", "Vpt", {}),
    "vpt-shallow": ("vpt", "Vpt", {"depth": 1}),
    "ivlp": ("ivlp", "Ivlp", {}),
    "maple": ("maple", "Maple", {}),
    "promptsrc": ("promptsrc", "PromptSrc", {}),
    "clip-lora": ("clip_lora", "ClipLora", {}),
    "dpl": ("dpl", "Dpl", {}),
    "dpl+promptsrc": ("dpl", "DplPromptSrc", {}),
    "dpl+maple": ("dpl", "DplMaple", {}),
}


def method_class(name: str) -> type[Method]:
    """Return the class of a method.

    Raises
    ------
    ConfigError
        If the name is unknown; the message lists the known names.
    """
    if name not in METHODS:
        raise ConfigError(f"unknown method {name!r:.100}: give one of {', '.join(METHODS)}")
    module, found, _ = METHODS[name]
    kind: type[Method] = getattr(importlib.import_module(f"dpl_nas.methods.{module}"), found)
    return kind


def name_of(method: Method) -> str:
    """Return a name that a method's class has; its settings may be others.

    Raises
    ------
    ConfigError
        If it has none.
    """
    for name in METHODS:
        if method_class(name) is type(method):
            return name
    raise ConfigError(f"{type(method).__name__} is not among the methods: {', '.join(METHODS)}")


def make_method(name: str, **settings: Any) -> Method:
    """Make a method with its paper's settings, but for those that are given.

    Raises
    ------
    ConfigError
        If the name is unknown, or a setting is unknown or not valid.
    """
    kind = method_class(name)
    return validate(kind, METHODS[name][2] | settings, name, ConfigError)
