"""Pages of HTML from the templates of a package."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["PagePicture", "render_page"]


@dataclass(frozen=True)
class PagePicture:
    """A picture of a page, which holds the bytes of its PNG file.

    Attributes
    ----------
    note
        What a reader needs beside the title.
    """

    file: Path
    title: str
    note: str

    @property
    def data(self) -> str:
        """The file's bytes in base64."""
        return base64.b64encode(self.file.read_bytes()).decode("ascii")


def render_page(package: str, template: str, **values: Any) -> str:
    """Return a page: what is put into it is escaped, and a value that is missing is an error.

    A template may extend ``page/page.html.j2``, which has the look of all pages, and import
    ``page/parts.html.j2``, which has tables and pictures.

    Parameters
    ----------
    package
        Package with a folder ``templates``, such as ``dpl_nas.comparison``.
    template
        Name of the file in it.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader(package), PrefixLoader({"page": PackageLoader("dpl_nas.io")})]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text: str = environment.get_template(template).render(**values)
    return text
