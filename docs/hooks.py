"""What MkDocs does with pages that are also read in a checkout, and with docstrings.

A hook of MkDocs and an extension of Griffe, both named in ``mkdocs.yml``.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

import griffe
from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).parents[1]
#: The page of README.
README = "readme.md"

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")
_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`(~?)([\w.]+)`")


def on_files(files: Files, config: Any) -> Files:
    """Add README to the pages."""
    files.append(File.generated(config, README, content=(REPOSITORY / "README.md").read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links lead to pages; what the site does not have becomes plain text."""
    source = page.file.src_uri
    # The folder of the page in the repository.
    here = "" if source == README else posixpath.join("docs", posixpath.dirname(source))

    def led(match: re.Match[str]) -> str:
        image, text, target, anchor = match.groups()
        place = posixpath.normpath(posixpath.join(here, target))
        if place == "README.md":
            place = f"docs/{README}"
        elif not place.startswith("docs/"):
            return match[0] if image or not (REPOSITORY / place).exists() else f"`{place}`"
        start = posixpath.dirname(source) or "."
        to = posixpath.relpath(place.removeprefix("docs/"), start)
        return f"{image}[{text}]({to}{anchor or ''})"

    return _LINK.sub(led, markdown)


class Roles(griffe.Extension):
    """Turns roles of Sphinx into links, where the site has what they name."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(
                lambda role: _link(obj, *role.groups()), obj.docstring.value
            )


def _link(scope: griffe.Object, short: str, target: str) -> str:
    try:
        place = scope.resolve(target) if "." not in target else _resolve(scope, target)
    except griffe.NameResolutionError:
        place = target
    text = target.rpartition(".")[2] if short else target
    return f'<autoref identifier="{place}" optional><code>{text}</code></autoref>'


def _resolve(scope: griffe.Object, target: str) -> str:
    """The path of ``Class.member``, whose class the scope knows, or of what is named in full."""
    if target.startswith("dpl_nas."):
        return target
    first, _, rest = target.partition(".")
    return f"{scope.resolve(first)}.{rest}"
