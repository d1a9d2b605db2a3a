"""Methods by their names."""

from __future__ import annotations

import importlib
from typing import Any

from dpl_nas.config import MethodConfig
from dpl_nas.errors import ConfigError
from dpl_nas.io.classes import import_class
from dpl_nas.io.validation import validate
from dpl_nas.methods.method import Method

__all__ = ["METHODS", "config_of", "make_method", "method_class", "name_of"]

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

    Parameters
    ----------
    name
        One of :data:`METHODS`; or ``package.module:Class``, whose module is imported.

    Raises
    ------
    ConfigError
        If the name is unknown, with the known ones; or if a user's class cannot be imported, or is
        no method.
    """
    if name in METHODS:
        module, found, _ = METHODS[name]
        kind: type[Method] = getattr(importlib.import_module(f"dpl_nas.methods.{module}"), found)
        return kind
    if ":" in name:
        return import_class(name, (Method,), "method", ConfigError)
    raise ConfigError(
        f"unknown method {name!r:.100}: give package.module:Class, or one of {', '.join(METHODS)}"
    )


def name_of(kind: type[Method]) -> str:
    """Return a name by which :func:`method_class` finds a class; settings may be others."""
    for name, (module, found, _) in METHODS.items():
        if (kind.__module__, kind.__qualname__) == (f"dpl_nas.methods.{module}", found):
            return name
    return f"{kind.__module__}:{kind.__qualname__}"


def config_of(method: str | Method) -> MethodConfig:
    """Return the name of a method with settings, as a configuration has it."""
    if isinstance(method, str):
        return MethodConfig(name=method)
    return MethodConfig(name=name_of(type(method)), settings=method.model_dump(mode="json"))


def make_method(name: str, **settings: Any) -> Method:
    """Make a method with its paper's settings, but for those that are given.

    Raises
    ------
    ConfigError
        If the name is unknown, or a setting is unknown or not valid.
    """
    kind = method_class(name)
    stated = METHODS[name][2] if name in METHODS else {}
    return validate(kind, stated | settings, name, ConfigError)
