"""Pictures of the packages, one generator a package, with what they show."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PIL import Image

from dpl_nas.errors import CheckpointError
from dpl_nas.gallery.archives import read_members
from dpl_nas.gallery.ink import crop_to_ink, open_image
from dpl_nas.gallery.names import Concept, find_slugs
from dpl_nas.gallery.packages import find_package
from dpl_nas.gallery.picture import plain_code
from dpl_nas.io.json_values import parse_json

__all__ = ["Drawn", "Sources"]

#: Skin tones that are packed: none, light, medium and dark.
_TONES = frozenset({0, 1, 3, 5})
#: Flags that are those of a country that is there too.
_BORROWED = frozenset(
    {
        "flag: Bouvet Island",
        "flag: Ceuta & Melilla",
        "flag: Clipperton Island",
        "flag: Diego Garcia",
        "flag: Heard & McDonald Islands",
        "flag: Sark",
        "flag: St. Martin",
        "flag: Svalbard & Jan Mayen",
        "flag: U.S. Outlying Islands",
    }
)
_FLUENT = "package/assets/"
#: What Microsoft's own notice on Fluent Emoji says is not open.
_NATIONAL = frozenset({"country-flag", "subdivision-flag"})
_RESERVED = re.compile("paperclip|technologist|video game")
#: Width of a rendered drawing, and largest longer side of its ink that is rendered again.
_WIDTH, _SMALL = 192, 96
_MOST_SVG = 2 << 20
#: Pixels an inch, as Inkscape had them.
_DPI = 90.0

#: Folders of Open Clip Art without pictures of things, with trademarks, or of near copies.
_LEFT_OUT = (
    "logos/",
    "office/telephone/",
    "recreation/games/cards/",
    "shapes/flowchart/",
    "shapes/jigsaw/",
    "shapes/stars/",
    "signs_and_symbols/flags/",
    "signs_and_symbols/led/",
    "special/",
    "unsorted/",
)
#: Clip art with these words in its name or keywords is left out.
_UNWANTED = frozenset(
    {"bikini", "lingerie", "nazi", "nude", "pantyhose", "sexy", "stripper", "swastika"}
)
_PUBLIC = re.compile(r"public ?domain", re.IGNORECASE)
_OTHER_FILE = re.compile(
    rb"""href\s*=\s*["'](?!#|data:image/(?:png|jpe?g|gif)|https?:)""", re.IGNORECASE
)
_DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"
_LIST_ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
_LONGEST_NAME, _LONGEST_TAG = 40, 24
#: Files with one title from which on it is not the title of a picture.
_SHARED = 4
_NO_TAG = re.compile("hash|unsorted|part of|clip ?art")
#: Artists at the ends of names of files, which were cut.
_ARTIST = re.compile(
    "_(a[a-z]* ?ashton|archi|benji|bwh|ganso|gerald|jon_phil|jonatha|juliane|lumen|matt_todd|nicu|"
    "openc|romus|snuat|yves).*$"
)


@dataclass(frozen=True)
class Drawn:
    """A picture cropped to its ink, and what it shows."""

    style: str
    concept: Concept
    image: Image.Image


@dataclass(frozen=True)
class Sources:
    """The packages in a folder.

    Attributes
    ----------
    folder
        Where the packages are.
    concepts
        All emoji by code.
    """

    folder: Path
    concepts: Mapping[str, Concept]
    _slugs: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._slugs.update(find_slugs(self.concepts))

    def read(self, style: str) -> Iterator[Drawn]:
        """Yield the pictures of a style, a key of ``STYLES``, in the package's order.

        Raises
        ------
        CheckpointError
            If the package is damaged.
        """
        readers: dict[str, Callable[[], Iterator[tuple[Concept, Image.Image | None]]]] = {
            "noto": lambda: self._files("noto", "package/img/google/64/", ".png"),
            "twemoji": lambda: self._files("twemoji", "package/img/twitter/64/", ".png"),
            "fluent": lambda: self._files("fluent", _FLUENT, ".webp"),
            "openmoji": lambda: self._files("openmoji", "package/color/svg/", ".svg"),
            "openmoji_black": lambda: self._files("openmoji", "package/black/svg/", ".svg"),
            "noto_v1": lambda: self._icons("noto_v1"),
            "emojione": lambda: self._icons("emojione"),
            "openclipart": self._clip_art,
        }
        for concept, image in readers[style]():
            if image is not None:
                yield Drawn(style, concept, image)

    def _files(
        self, package: str, folder: str, suffix: str
    ) -> Iterator[tuple[Concept, Image.Image | None]]:
        def wanted(name: str) -> bool:
            return self._concept(name, folder, suffix) is not None

        seen = set()
        for name, content in read_members(find_package(package, self.folder), wanted):
            concept = self._concept(name, folder, suffix)
            if concept is not None and concept.code not in seen:
                seen.add(concept.code)
                drawn = render(content) if suffix == ".svg" else crop_to_ink(open_image(content))
                yield concept, drawn

    def _concept(self, name: str, folder: str, suffix: str) -> Concept | None:
        if not (name.startswith(folder) and name.endswith(suffix)):
            return None
        code = plain_code(name.removeprefix(folder).removesuffix(suffix))
        concept = self.concepts.get(code)
        if concept is None or concept.tone not in _TONES or concept.name in _BORROWED:
            return None
        if folder == _FLUENT and (concept.subgroup in _NATIONAL or _RESERVED.search(concept.name)):
            return None
        return concept

    def _icons(self, package: str) -> Iterator[tuple[Concept, Image.Image | None]]:
        path = find_package(package, self.folder)
        members = dict(read_members(path, "package/icons.json".__eq__))
        try:
            icons: dict[str, Any] = parse_json(members["package/icons.json"])
            names = {slug: slug for slug in icons["icons"]}
            for alias, entry in icons.get("aliases", {}).items():
                # Old names of one thing are new ones of another, such as "cricket" of a bat.
                if entry["parent"] not in self._slugs:
                    names.setdefault(alias, entry["parent"])
            size = icons["height"]
            bodies: dict[str, str] = {}
            for slug, icon in names.items():
                code = self._slugs.get(slug)
                if code is not None and icon in icons["icons"]:
                    bodies.setdefault(code, str(icons["icons"][icon]["body"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} is not laid out as expected: {error}") from error
        head = (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="0 0 {size} {size}">'
        )
        for code, body in sorted(bodies.items()):
            if self.concepts[code].name not in _BORROWED:
                yield self.concepts[code], render(f"{head}{body}</svg>".encode())

    def _clip_art(self) -> Iterator[tuple[Concept, Image.Image | None]]:
        root = "usr/share/openclipart/svg/"

        def wanted(name: str) -> bool:
            place = name.removeprefix(root)
            return name.startswith(root) and not place.startswith(_LEFT_OUT) and "/" in place

        path = find_package("openclipart", self.folder)
        described = [
            (name, describe_clip_art(name.removeprefix(root), content), content)
            for name, content in sorted(read_members(path, wanted))
        ]
        titles = Counter(concept.name for _, concept, _ in described if concept is not None)
        for name, concept, content in described:
            if concept is None:
                continue
            # A title of many is the name of a collection.
            own = _name_of_file(name) if titles[concept.name] >= _SHARED else ""
            yield replace(concept, name=own or concept.name), render(content)


def describe_clip_art(place: str, content: bytes) -> Concept | None:
    """Return what a file of Open Clip Art says of itself; ``None`` if it is not wanted.

    Only what is dedicated to the public domain is wanted.
    """
    try:
        # Of a package whose hash is known; and expat bounds what entities may grow to.
        tree = ElementTree.fromstring(content)  # noqa: S314
    except ElementTree.ParseError:
        return None
    if not _PUBLIC.search(content.decode("utf-8", "replace")):
        return None
    group, _, subgroup = place.rpartition("/")[0].partition("/")
    titles = [each.text or "" for each in tree.iter(f"{_DUBLIN_CORE}title")]
    name = _clean(titles[0] if titles else "", _LONGEST_NAME) or _name_of_file(place)
    tags = [_clean(each.text or "", _LONGEST_TAG) for each in tree.iter(_LIST_ITEM)]
    if not name or _UNWANTED & set(" ".join([place.replace("_", " "), name, *tags]).split()):
        return None
    known = dict.fromkeys(tag for tag in tags if tag and tag != name and not _NO_TAG.match(tag))
    return Concept(place.removesuffix(".svg"), name, tuple(known), group, subgroup)


def render(content: bytes) -> Image.Image | None:
    """Draw an SVG file and crop it to its ink; ``None`` if there is none, or not within it.

    Nothing outside the file is read, and no fonts are: text is left out.
    """
    import resvg_py

    if len(content) > _MOST_SVG or _OTHER_FILE.search(content):
        return None
    text = content.decode("utf-8", "replace")
    width = _WIDTH
    while True:
        try:
            drawn = resvg_py.svg_to_bytes(
                svg_string=text, width=width, dpi=_DPI, skip_system_fonts=True
            )
            image = crop_to_ink(open_image(bytes(drawn)))
        except ValueError:
            return None
        if image is None or max(image.size) >= _SMALL or width >= 16 * _WIDTH:
            return image
        # A small thing on a large sheet.
        width *= 4


def _name_of_file(place: str) -> str:
    """Return the words of a file's name, without what is left of its artist's name."""
    stem = re.sub("[_-][0-9]*r?$", "", place.rpartition("/")[2].removesuffix(".svg"))
    return _clean(_ARTIST.sub("", stem), _LONGEST_NAME)


def _clean(text: str, longest: int) -> str:
    """Return plain lower-case words, without numbers at the end; nothing if that fails."""
    plain = re.sub("[^a-z0-9' -]+", " ", text.lower().replace("_", " "))
    words = [word for word in re.sub("(?<=[a-z])[0-9]+", "", plain).split() if word != "-"]
    while words and re.fullmatch("[0-9-]+|bw|v", words[-1]):
        words.pop()
    cleaned = " ".join(words)
    return cleaned if 1 < len(cleaned) <= longest and re.search("[a-z]", cleaned) else ""
