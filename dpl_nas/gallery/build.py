"""Making of the packed files from the packages: ``python -m dpl_nas.gallery.build``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import features

from dpl_nas.errors import ConfigError
from dpl_nas.gallery.copies import find_distinct, find_unlike, group_versions
from dpl_nas.gallery.ink import make_thumbnail
from dpl_nas.gallery.names import Concept, read_names
from dpl_nas.gallery.pack import HASHES, hash_of, pack
from dpl_nas.gallery.packages import PACKAGES, find_package, get_packages
from dpl_nas.gallery.picture import STYLES, Picture, tell_drawing
from dpl_nas.gallery.remaking import remake
from dpl_nas.gallery.sources import Sources
from dpl_nas.io.files import read_sealed, write_bytes, write_json

__all__ = ["build", "main"]

#: The styles of each pack. What may not be trained on is in a pack of its own.
_CONTENT = {
    "pictures": ("noto", "twemoji", "noto_v1", "fluent", "emojione", "openclipart"),
    "openmoji": ("openmoji", "openmoji_black"),
}
_CLIP_ART = "openclipart"


def build(packages: Path, out: Path) -> dict[str, str]:
    """Write the packs and their hashes to ``out``; return the hashes by name.

    Parameters
    ----------
    packages
        The folder of the packages; what it lacks is downloaded.

    Raises
    ------
    DplError
        If a package cannot be had, or a program that draws SVG files is absent.
    """
    made_with = _programs()
    get_packages(packages)
    sources = Sources(packages, read_names(find_package("names", packages)))
    hashes = {}
    for name, styles in _CONTENT.items():
        pictures: list[Picture] = []
        thumbnails: list[NDArray[np.uint8]] = []
        for style in styles:
            for picture, pixels in _read_style(style, sources):
                pictures.append(picture)
                thumbnails.append(pixels)
        content = pack(pictures, np.stack(thumbnails), made_with)
        write_bytes(out / f"{name}.zip", content)
        hashes[name] = hash_of(content)
    write_json(out / HASHES, hashes)
    return hashes


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the packs, or check that they come out as the ones that ship; return the exit code."""
    return remake("dpl_nas.gallery.build", __doc__, _build, _read_shipped, arguments)


def _build(packages: Path, out: Path) -> dict[str, str]:
    return {f"{name}.zip": digest for name, digest in build(packages, out).items()}


def _read_shipped() -> dict[str, str]:
    hashes = read_sealed(Path(__file__).with_name(HASHES), "restore it")
    return {f"{name}.zip": str(digest) for name, digest in hashes.items()}


def _programs() -> dict[str, str]:
    """Return the versions of what decides on the bytes."""
    try:
        resvg = version("resvg_py")
    except PackageNotFoundError:
        raise ConfigError(
            "drawing SVG files needs resvg_py, which is not installed: pip install resvg-py==0.5.0"
        ) from None
    return {
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "resvg_py": resvg,
        "webp": str(features.version("webp")),
    }


def _read_style(style: str, sources: Sources) -> Iterator[tuple[Picture, NDArray[np.uint8]]]:
    """Yield the distinct pictures of a style, in the order of Unicode or of their paths."""
    drawn = [(each.concept, make_thumbnail(each.image)) for each in sources.read(style)]
    if style == _CLIP_ART:
        drawn.sort(key=lambda each: each[0].code)
        drawn = [drawn[place] for place in find_distinct(pixels for _, pixels in drawn)]
        drawn = [drawn[place] for place in find_unlike(np.stack([each[1] for each in drawn]))]
        codes = [concept.code for concept, _ in drawn]
        versions = group_versions(np.stack([pixels for _, pixels in drawn]), codes)
        drawings = [f"{style}/{version}" for version in versions]
    else:
        order = {code: place for place, code in enumerate(sources.concepts)}
        # Without skin tones first: of equal pictures, those stay.
        drawn.sort(key=lambda each: (each[0].tone > 0, order[each[0].code]))
        drawn = [drawn[place] for place in find_distinct(pixels for _, pixels in drawn)]
        drawings = [tell_drawing(style, concept.code) for concept, _ in drawn]
    for (concept, pixels), drawing in zip(drawn, drawings, strict=True):
        yield _picture(style, concept, drawing), pixels


def _picture(style: str, concept: Concept, drawing: str) -> Picture:
    return Picture(
        style=style,
        code=concept.code,
        drawing=drawing,
        name=concept.name,
        tags=concept.tags,
        group=concept.group,
        subgroup=concept.subgroup,
        tone=concept.tone,
        licence=PACKAGES[STYLES[style]].licence,
    )


if __name__ == "__main__":
    sys.exit(main())
