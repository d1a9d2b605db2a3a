"""Checks that the text tower can tell the classes of a task apart by their captions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone import Backbone, TextInputs
from dpl_nas.config import TextTemplate
from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.prompted import PromptedCLIP
from dpl_nas.tasks import Task
from dpl_nas.tasks.names import tell_names
from dpl_nas.training.model import class_captions

__all__ = ["check_captions", "check_different"]

#: Largest cosine of the features of two classes that a text tower tells apart.
_NEAR = 0.999
#: Rows of the table of distances that are held at a time.
_ROWS = 1024


def check_captions(backbone: Backbone, task: Task, *kinds: TextTemplate) -> None:
    """Raise an error for classes that are identical to the text tower.

    Warn of classes whose features are nearly the same, and of words in their names that the tower
    was not trained on.

    Parameters
    ----------
    kinds
        Kinds of captions used besides those of the task's own template.

    Raises
    ------
    TaskError
        If two classes have the same tokens within the context length, or tokens of the same
        embeddings.
    """
    known: tuple[TextTemplate, ...] = ("task",)
    for kind in dict.fromkeys((*known, *kinds)):
        inputs = class_captions(backbone, task.class_names, task.template, task.templates, kind)
        check_different(backbone, task, inputs)
        near = _near(backbone, inputs)
        # What is published with one name is told where it is loaded.
        near = [pair for pair in near if len({task.class_names[each] for each in pair}) > 1]
        if near:
            more = f" and {len(near) - 1} more pairs" if len(near) > 1 else ""
            warnings.warn(
                f"{task.name}: {backbone.name} will hardly tell the classes "
                f"{tell_names(task.class_names[each] for each in near[0])}{more} apart, as their "
                f"captions are nearly the same to it (cosine over {_NEAR}): try other names",
                DplWarning,
                stacklevel=2,
            )
    unseen = _unseen_words(backbone, task.class_names)
    if unseen:
        words = dict.fromkeys(word for each in unseen.values() for word in each)
        warnings.warn(
            f"{task.name}: {backbone.name} was not trained on the words {tell_names(words)}, so "
            f"they tell it nothing about the classes {tell_names(unseen)}: use other words",
            DplWarning,
            stacklevel=2,
        )


def check_different(backbone: Backbone, task: Task, inputs: TextInputs) -> None:
    """Raise an error for identical captions: the strict part of :func:`check_captions`.

    Classes of one name are left to a task whose classes are published so.

    Parameters
    ----------
    inputs
        Captions of the classes.

    Raises
    ------
    TaskError
        If two of them are the same.
    """
    same = _same(inputs, task.class_names if task.same_names else ())
    if same:
        unseen = _unseen_words(backbone, [task.class_names[each] for each in same])
        raise TaskError(_sentence(backbone, task, same, unseen))


def _same(inputs: TextInputs, names: Sequence[str]) -> tuple[int, ...]:
    """Return the first classes whose captions are identical to the text tower, if any.

    Parameters
    ----------
    names
        Names of the classes, of which equal ones are accepted.
    """
    seen: dict[bytes, list[int]] = {}
    for index, parts in enumerate(zip(inputs.embeddings, inputs.pooling, strict=True)):
        key = b"".join(part.float().cpu().numpy().tobytes() for part in parts)
        seen.setdefault(key, []).append(index)
    found = (tuple(rows) for rows in seen.values() if len(rows) > 1)
    return next((rows for rows in found if not _one_name(names, rows)), ())


def _one_name(names: Sequence[str], rows: Sequence[int]) -> bool:
    return bool(names) and len({names[row] for row in rows}) == 1


def _sentence(
    backbone: Backbone, task: Task, same: Sequence[int], unseen: dict[str, list[str]]
) -> str:
    names = [task.class_names[each] for each in same]
    tokens = backbone.tokenize([task.captions()[each] for each in same])
    words = dict.fromkeys(word for name in names for word in unseen.get(name, ()))
    alike = bool((tokens == tokens[0]).all())
    if words and not alike:
        reason = f"it was not trained on the words {tell_names(words)}"
    elif not alike or int(tokens.argmax(dim=-1).max()) == tokens.shape[1] - 1:
        reason = f"it cuts captions after {tokens.shape[1]} tokens"
    else:
        reason = "it ignores capitals, extra blanks and forms of characters"
    return (
        f"{task.name}: the captions of the classes {tell_names(names)} are the same to "
        f"{backbone.name}, as {reason}: give them different names with class_names in task.yml, "
        "or use another backbone"
    )


@torch.no_grad()
def _near(backbone: Backbone, inputs: TextInputs) -> list[tuple[int, int]]:
    """Return the pairs of classes whose features are too near, by label."""
    model = PromptedCLIP(backbone, {})
    features = functional.normalize(model.encode_text(inputs).float(), dim=-1)
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(features), _ROWS):
        # Of each pair once, and of none with itself.
        similar = (features[start : start + _ROWS] @ features.T).triu(start + 1)
        rows, columns = (similar > _NEAR).nonzero(as_tuple=True)
        pairs += zip((rows + start).tolist(), columns.tolist(), strict=True)
    return pairs


def _unseen_words(backbone: Backbone, class_names: Sequence[str]) -> dict[str, list[str]]:
    """Return, by class, the words whose tokens are only placeholders in the backbone's table.

    A trained table has no two equal rows.
    """
    by_class = {name: name.split() for name in class_names}
    words = list(dict.fromkeys(word for each in by_class.values() for word in each))
    if not words:
        return {}
    tokens = backbone.tokenize(words)
    ids = tokens.unique()
    placeholders = _placeholders(backbone.text.token_table, ids.tolist())
    unseen = {
        word
        for word, row in zip(words, tokens.tolist(), strict=True)
        if placeholders.intersection(row)
    }
    return {
        name: found
        for name, each in by_class.items()
        if (found := [word for word in each if word in unseen])
    }


def _placeholders(table: Tensor, ids: Sequence[int]) -> set[int]:
    """Return those ``ids`` whose row in ``table`` equals another token's."""
    first = table[:, 0]
    found: set[int] = set()
    for each in ids:
        alike = (first == first[each]).nonzero().flatten()
        rows = table[alike]
        if int((rows == table[each]).all(dim=-1).sum()) > 1:
            found.add(each)
    return found
