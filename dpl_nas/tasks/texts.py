"""Labelled texts, which a language model classifies by the word that it would go on with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dpl_nas.errors import TaskError
from dpl_nas.io.text import make_printable

__all__ = ["TEXT_TEMPLATE", "Prompt", "TextSet", "check_text_template"]

#: Where a task names none.
TEXT_TEMPLATE = "{text} Topic: {}"
_TEXT = "{text}"


@dataclass(frozen=True)
class Prompt:
    """A text in its template, up to the name of the class.

    Attributes
    ----------
    before, after
        What stands before the text and after it.
    text
        The text.
    """

    before: str
    text: str
    after: str


class TextSet:
    """Labelled texts in a fixed order.

    Parameters
    ----------
    texts
        The texts.
    labels
        Class index of each.
    template
        Template with ``{text}``, then ``{}`` for the name of the class.
    """

    def __init__(self, texts: Sequence[str], labels: Sequence[int], template: str) -> None:
        self.texts = tuple(texts)
        self.labels: Sequence[int] = tuple(labels)
        self.template = template
        before, _, rest = template.partition(_TEXT)
        # The word of a class brings the blank before it.
        self._around = before, rest.partition("{}")[0].rstrip(" ")

    def image(self, index: int) -> Any:
        """The :class:`Prompt` at ``index``, which a language model reads as others do images."""
        before, after = self._around
        return Prompt(before, self.texts[index], after)

    def signature(self, index: int) -> bytes:
        """Return a signature that changes with any change to the text."""
        return hashlib.sha256(self.texts[index].encode()).digest()

    def __repr__(self) -> str:
        return f"TextSet({len(self.texts)} texts)"


def check_text_template(template: str, source: str) -> None:
    """Raise an error unless a template has ``{text}`` and then ``{}``, once each.

    Raises
    ------
    TaskError
        If it has not.
    """
    good = template.count(_TEXT) == 1 == template.count("{}")
    if not good or template.index(_TEXT) > template.index("{}"):
        raise TaskError(
            f"{source}: the template of texts needs one {{text}}, and after it one {{}} for the "
            f"name of the class, found '{make_printable(template):.100}'"
        )
