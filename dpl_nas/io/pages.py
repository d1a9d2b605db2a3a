"""Pages of HTML from the templates of a package."""

from __future__ import annotations

from typing import Any

__all__ = ["render_page"]


def render_page(package: str, template: str, **values: Any) -> str:
    """Return a page: what is put into it is escaped, and a value that is missing is an error.

    Parameters
    ----------
    package
        Package with a folder ``templates``, such as ``dpl_nas.comparison``.
    template
        Name of the file in it.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text: str = environment.get_template(template).render(**values)
    return text
