"""The blocks of code of README and docs."""

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGES", "REASONS", "Block", "blocks_of"]

REPOSITORY = Path(__file__).parents[2]
PAGES = (
    "README.md",
    *sorted(str(p.relative_to(REPOSITORY)) for p in REPOSITORY.glob("docs/**/*.md")),
)

#: Why a block is not run: ``<!-- not run: REASON -->`` in front of it.
REASONS = (
    "installs",
    "downloads",
    "measures for minutes or hours",
    "needs a GPU",
    "needs other machines",
    "starts NNI's server",
    # It takes half a minute, so once is enough.
    "docs/how-to/export.md runs it",
)

_BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^\n]*?) -->\n\s*)?"
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
_NAME = re.compile(r"# ([\w./-]+\.(?:py|yml))\n")


@dataclass(frozen=True)
class Block:
    """A block of code of a page.

    Attributes
    ----------
    line
        Line of the page that its code begins in.
    language
        ``sh``, ``python``, ``yaml``, or empty.
    reason
        Why it is not run; empty if it is.
    """

    page: str
    line: int
    language: str
    code: str
    reason: str

    @property
    def name(self) -> str:
        """The file that a reader writes it to, which its first line tells; may be empty."""
        found = _NAME.match(self.code)
        return found[1] if found and self.language != "sh" else ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str) -> list[Block]:
    """All blocks of a page, in their order."""
    text = (REPOSITORY / page).read_text()
    found = []
    for match in _BLOCK.finditer(text):
        code = re.sub(f"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Block(page, line, match["language"], code, match["reason"] or ""))
    return found
