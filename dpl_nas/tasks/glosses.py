"""Tasks of texts for the embedded language model: glosses of WordNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from dpl_nas.errors import CheckpointError, TaskError
from dpl_nas.glosses.tasks import load_texts
from dpl_nas.tasks.task import Task
from dpl_nas.tasks.texts import TextSet

__all__ = ["GLOSS_TASKS", "load_gloss_task"]

#: A line about each, by the name after ``glosses/``.
GLOSS_TASKS: Mapping[str, str] = MappingProxyType(
    {
        "nature": "glosses of WordNet: what kind of thing is it? 8 classes",
        "acts": "glosses of WordNet: what is it about? 8 classes, asked in words of its own",
    }
)


def load_gloss_task(name: str) -> Task:
    """Load the task ``glosses/<name>``; the names of its classes are the words that are told.

    Raises
    ------
    TaskError
        If its file is absent or damaged.
    """
    try:
        found = load_texts(f"glosses/{name}")
    except CheckpointError as error:
        raise TaskError(str(error)) from error
    template = f"{found.template} {{}}"

    def texts(part: Sequence[tuple[str, int]]) -> TextSet:
        return TextSet([text for text, _ in part], [label for _, label in part], template)

    return Task(
        name=found.name,
        class_names=found.verbalisers,
        template=template,
        train=texts(found.pool),
        test=texts(found.test),
        own_labels=found.classes,
        inputs="texts",
    )
