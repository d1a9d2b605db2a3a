"""A picture of the gallery: what it shows, who drew it, and which others are the same drawing."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from dpl_nas.io.reprs import short_repr

__all__ = ["FAMILIES", "STYLES", "THUMBNAIL", "Picture", "plain_code", "tell_drawing"]

#: Width and height of a thumbnail, in pixels.
THUMBNAIL = 48

#: Every style and the package (a key of ``PACKAGES``) that its pictures come from.
STYLES = MappingProxyType(
    {
        "noto": "noto",
        "twemoji": "twemoji",
        "noto_v1": "noto_v1",
        "fluent": "fluent",
        "emojione": "emojione",
        "openclipart": "openclipart",
        "openmoji": "openmoji",
        "openmoji_black": "openmoji",
    }
)
#: Styles whose pictures of one thing are one drawing: versions of it, or its outline.
FAMILIES = MappingProxyType({"noto_v1": "noto", "openmoji_black": "openmoji"})

_VARIATION, _JOINER = "fe0f", "200d"
_TONES = frozenset({"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"})
_SIGNS = frozenset({"2640", "2642", "27a1"})
_PERSON = "1f9d1"
_PEOPLE = frozenset({"1f468", "1f469", _PERSON})


@dataclass(frozen=True, slots=True)
class Picture:
    """A thumbnail's description.

    Attributes
    ----------
    style
        Who drew it, a key of `STYLES`.
    code
        What it shows: code points of an emoji, or the path of a clip art.
    drawing
        Shared by all pictures that are one drawing in other colours, skin tones or genders.
    name
        The English name, without the skin tone.
    tags
        Further English words.
    group, subgroup
        Where Unicode, or Open Clip Art, puts it.
    tone
        Skin tone, 1 (light) to 5 (dark); 0 if it has none.
    licence
        The short name of its licence.
    """

    style: str
    code: str
    drawing: str
    name: str
    tags: tuple[str, ...]
    group: str
    subgroup: str
    tone: int
    licence: str

    __repr__ = short_repr


def plain_code(code: str) -> str:
    """Return code points in lower case, without the variation selector."""
    return "-".join(part for part in code.lower().split("-") if part != _VARIATION)


def tell_drawing(style: str, code: str) -> str:
    """Return the drawing of an emoji: its family and its code without skin tone and gender."""
    parts = [part for part in code.split("-") if part not in _TONES | _SIGNS]
    parts = [_PERSON if part in _PEOPLE else part for part in parts]
    while parts and parts[-1] == _JOINER:
        parts.pop()
    return f"{FAMILIES.get(style, style)}/{'-'.join(parts)}"
