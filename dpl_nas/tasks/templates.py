"""The captions that a zero-shot teacher averages over where a task names none."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

from dpl_nas.errors import TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.tasks.names import check_text

__all__ = ["DEFAULT_TEMPLATE", "check_template", "imagenet_templates"]

DEFAULT_TEMPLATE = "a photo of a {}."


def check_template(template: str, source: str) -> None:
    """Raise an error unless ``template`` is text with one ``{}``.

    Parameters
    ----------
    source
        The file that it is from.

    Raises
    ------
    TaskError
        If it is not.
    """
    check_text(template, f"a template of {source}")
    if template.count("{}") != 1:
        raise TaskError(
            f"{source}: a template needs one {{}} for the class name, found "
            f"'{make_printable(template):.100}'"
        )


@cache
def imagenet_templates() -> tuple[str, ...]:
    """OpenAI's 80 templates, from open_clip."""
    # Its module of plain values alone: the package takes seconds to import.
    package = find_spec("open_clip")
    places = package.submodule_search_locations if package else None
    if not places:
        raise ModuleNotFoundError("open_clip is not installed")
    spec = spec_from_file_location(
        "_open_clip_templates", Path(places[0]) / "zero_shot_metadata.py"
    )
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("open_clip has no templates")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return tuple(template("{}") for template in module.OPENAI_IMAGENET_TEMPLATES)
