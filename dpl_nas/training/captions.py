"""Checks that the text tower can tell the classes of a task apart by their captions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dpl_nas.backbone import Backbone, TextInputs
from dpl_nas.backbone.language_models import Reader
from dpl_nas.config import TextTemplate
from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.io.text import make_printable
from dpl_nas.prompted import PromptedCLIP
from dpl_nas.tasks import Task
from dpl_nas.tasks.names import tell_names
from dpl_nas.training.model import class_captions

__all__ = ["check_captions", "check_different", "check_inputs"]

#: Largest cosine of the features of two classes that a text tower tells apart.
_NEAR = 0.999
#: Rows of the table of distances that are held at a time.
_ROWS = 1024


def check_captions(backbone: Backbone, task: Task, *kinds: TextTemplate) -> None:
    """Raise an error for classes that are identical to the text tower.

    A backbone without a text tower needs no captions, and nothing is checked. Of a language model,
    the words of the classes must begin with different tokens; warn of texts that are cut.

    Warn of captions that are cut, of classes whose features are nearly the same, and of words in
    their names that the tower was not trained on.

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
    if backbone.classes_by == "words":
        _check_words(backbone, task)
    if backbone.classes_by != "captions":
        return
    known: tuple[TextTemplate, ...] = ("task",)
    for kind in dict.fromkeys((*known, *kinds)):
        inputs = class_captions(backbone, task.class_names, task.template, task.templates, kind)
        check_different(backbone, task, inputs)
        cut = _cut(backbone, task, kind, inputs)
        if cut:
            warnings.warn(
                f"{task.name}: {backbone.name} has no room for the whole captions of {len(cut)} of "
                f"{len(task.class_names)} classes, so their ends are cut off: {tell_names(cut)}; "
                "use shorter names or templates",
                DplWarning,
                stacklevel=2,
            )
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
        warnings.warn(
            f"{task.name}: {backbone.name} never saw the words {tell_names(unseen)} of the class "
            "names with an image, so it knows them from texts at best",
            DplWarning,
            stacklevel=2,
        )


def check_inputs(backbone: Backbone, task: Task) -> None:
    """Raise an error unless a backbone reads what a task has: images or texts.

    Raises
    ------
    TaskError
        If it does not.
    """
    reads = "texts" if backbone.classes_by == "words" else "images"
    if task.inputs == reads:
        return
    use = "mini_clip" if task.inputs == "images" else "mini_lm"
    raise TaskError(
        f"task {make_printable(task.name)} has {task.inputs}, and {backbone.name} reads {reads}: "
        f"use a backbone that reads {task.inputs}, such as that of space {use}"
    )


def _check_words(backbone: Backbone, task: Task) -> None:
    """Raise an error for words that begin alike; warn of texts that are cut."""
    features = backbone.word_features(task.class_names)
    seen: dict[bytes, int] = {}
    for label, row in enumerate(features.float().cpu()):
        other = seen.setdefault(row.numpy().tobytes(), label)
        if other != label:
            names = [task.class_names[other], task.class_names[label]]
            raise TaskError(
                f"{task.name}: to {backbone.name} the words {tell_names(names)} begin with the "
                "same token, so it cannot tell the classes apart: give them words that begin "
                "differently with class_names"
            )
    if not isinstance(backbone.preprocess, Reader):
        return
    texts: list[Any] = [
        part.image(row) for part in (task.pool, task.test) for row in range(len(part.labels))
    ]
    cut = sum(backbone.preprocess.cuts(each) for each in texts)
    if cut:
        warnings.warn(
            f"{task.name}: {backbone.name} has room for {backbone.preprocess.length} tokens, so "
            f"the ends of {cut} of {len(texts)} texts are left out",
            DplWarning,
            stacklevel=4,
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
    if backbone.classes_by != "captions":
        return
    same = _same(inputs, task.class_names if task.same_names else ())
    if same:
        raise TaskError(_sentence(backbone, task, same))


def _cut(backbone: Backbone, task: Task, kind: TextTemplate, inputs: TextInputs) -> list[str]:
    """Return the names of the classes that have a caption with more tokens than there is room for.

    Parameters
    ----------
    inputs
        Captions of this kind.
    """
    room = backbone.tokenize([task.template]).shape[1]
    if inputs.embeddings.shape[1] < room:
        return []
    ensemble = task.templates if kind == "mean_embedding" else ()
    names: dict[str, None] = {}
    for template in ensemble or (task.template,):
        captions = [caption.strip() for caption in task.captions(template)]
        tokens = backbone.tokenize(captions)
        full = _full(backbone, tokens).nonzero().flatten().tolist()
        if not full:
            continue
        # What fits exactly is another caption without its last character.
        shorter = backbone.tokenize([captions[row][:-1] for row in full])
        alike = (tokens[full] == shorter).all(dim=-1).tolist()
        names |= {task.class_names[row]: None for row, cut in zip(full, alike, strict=True) if cut}
    return list(names)


def _full(backbone: Backbone, tokens: Tensor) -> Tensor:
    """Which captions (captions,) have a token in the last place, where others have padding."""
    padding = backbone.tokenize(["a"])[0, -1]
    return tokens[:, -1] != padding


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


def _sentence(backbone: Backbone, task: Task, same: Sequence[int]) -> str:
    names = [task.class_names[each] for each in same]
    tokens = backbone.tokenize([task.captions()[each] for each in same])
    alike = bool((tokens == tokens[0]).all())
    if not alike or bool(_full(backbone, tokens).any()):
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


def _unseen_words(backbone: Backbone, class_names: Sequence[str]) -> list[str]:
    """Return the words of the names that no caption had, as far as that is known."""
    if backbone.seen is None:
        return []
    words = [*dict.fromkeys(word for name in class_names for word in name.split())]
    tokens = backbone.tokenize(words).tolist() if words else []
    # Padding is no token of a word.
    return [w for w, row in zip(words, tokens, strict=True) if {*row} - backbone.seen - {0}]
