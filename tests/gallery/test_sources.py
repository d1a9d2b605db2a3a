"""Pictures of packages: names, what is left out, cropping, drawing."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dpl_nas.errors import CheckpointError
from dpl_nas.gallery.ink import crop_to_ink, make_thumbnail, open_image
from dpl_nas.gallery.names import find_slugs, read_names
from dpl_nas.gallery.picture import THUMBNAIL
from dpl_nas.gallery.sources import describe_clip_art, render

SVG = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" width="400pt" height="400pt">
 <dc:title>{title}</dc:title>
 <rdf:Bag><rdf:li>fruit</rdf:li><rdf:li>hash(0x1)</rdf:li></rdf:Bag>
 <license>http://web.resource.org/cc/{licence}</license>{body}</svg>"""


def svg(title: str = "A Banana 02", licence: str = "PublicDomain", body: str = "") -> bytes:
    return SVG.format(title=title, licence=licence, body=body).encode()


def names(path: Path, data: object) -> Path:
    messages = {
        "groups": [{"key": "people-body", "order": 1}],
        "subgroups": [{"key": "hands", "order": 20}],
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, value in (("data", data), ("messages", messages)):
            content = json.dumps(value).encode()
            member = tarfile.TarInfo(f"package/en/{name}.json")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def entry(code: str, label: str, **more: object) -> dict[str, object]:
    return {"hexcode": code, "label": label, "group": 1, "subgroup": 20, "order": 7, **more}


def test_names_are_read_with_one_skin_tone_at_most(tmp_path: Path) -> None:
    skins = [entry("1F44F-1F3FB", "x", tone=1), entry("1F44F-1F3FB-1F3FF", "x", tone=[1, 5])]
    data = [entry("1F44F-FE0F", "clapping hands", tags=["clap"], skins=skins), {"hexcode": "0"}]
    found = read_names(names(tmp_path / "names.tgz", data))
    assert list(found) == ["1f44f", "1f44f-1f3fb"]
    assert found["1f44f"].tags == ("clap",)
    assert [each.tone for each in found.values()] == [0, 1]
    assert {each.name for each in found.values()} == {"clapping hands"}
    assert {each.subgroup for each in found.values()} == {"hands"}


def test_names_of_another_layout_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not laid out as expected"):
        read_names(names(tmp_path / "names.tgz", [{"group": 1, "subgroup": 99, "order": 1}]))


def test_clip_art_says_what_it_is() -> None:
    found = describe_clip_art("food/fruit/banana_nicu_buculei_02.svg", svg())
    assert found is not None
    assert (found.name, found.tags, found.group, found.subgroup) == (
        "a banana",
        ("fruit",),
        "food",
        "fruit",
    )
    unnamed = describe_clip_art("food/fruit/big_banana_nicu_buculei_02.svg", svg(title=""))
    assert unnamed is not None
    assert unnamed.name == "big banana"


@pytest.mark.parametrize(
    "content",
    [svg(licence="GPL"), svg(title="Swastika"), b"<svg", svg().replace(b"</svg>", b"</gvs>")],
)
def test_clip_art_that_is_not_wanted(content: bytes) -> None:
    assert describe_clip_art("food/x.svg", content) is None


def test_a_drawing_is_cropped_to_its_ink() -> None:
    image = Image.new("RGBA", (100, 60))
    image.paste((255, 0, 0, 255), (10, 20, 30, 25))
    cropped = crop_to_ink(image)
    assert cropped is not None
    assert cropped.size == (20, 5)
    opaque = Image.new("RGBA", (100, 60), "white")
    opaque.paste((255, 0, 0, 255), (10, 20, 30, 25))
    cropped = crop_to_ink(opaque)
    assert cropped is not None
    assert cropped.size == (20, 5)
    assert crop_to_ink(Image.new("RGBA", (9, 9), "white")) is None
    assert crop_to_ink(Image.new("RGBA", (9, 9))) is None


def test_a_thumbnail_fills_a_square_in_the_middle() -> None:
    pixels = make_thumbnail(Image.new("RGBA", (20, 5), (0, 255, 0, 255)))
    assert pixels.shape == (THUMBNAIL, THUMBNAIL, 4)
    rows = np.flatnonzero(pixels[..., 3].any(axis=1))
    assert (rows[0], rows[-1]) == (18, 29)
    assert (pixels[24, :, 1] == 255).all()


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="no readable image"):
        open_image(b"\x89PNG\r\n\x1a\nnothing")
    large = io.BytesIO()
    Image.new("1", (5000, 5000)).save(large, "PNG")
    with pytest.raises(ValueError, match="5000 x 5000 pixels"):
        open_image(large.getvalue())


def test_drawings_are_rendered_without_other_files(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py", reason="only needed to make the packed files")
    small = svg(body='<rect x="300" y="300" width="4" height="8" fill="red"/>')
    drawn = render(small)
    assert drawn is not None
    assert drawn.height == pytest.approx(2 * drawn.width, rel=0.1)
    assert drawn.height > 30
    other = tmp_path / "other.png"
    Image.new("RGB", (9, 9), "red").save(other)
    assert render(svg(body=f'<image width="9" height="9" xlink:href="{other}"/>')) is None
    assert render(svg()) is None


def test_slugs_have_older_spellings(tmp_path: Path) -> None:
    plain = [
        "flag: Türkiye",
        "bear",
        "black flag",
        "cat with tears of joy",
        "cat with wry smile",
        "chequered flag",
        "crossed flags",
        "crying cat",
        "grinning cat with smiling eyes",
        "rainbow flag",
        "smiling cat with heart-eyes",
        "triangular flag",
        "white flag",
    ]
    data = [entry(f"1F{at:03X}", name, order=at) for at, name in enumerate(plain)]
    slugs = find_slugs(read_names(names(tmp_path / "names.tgz", data)))
    assert slugs["bear"] == slugs["bear-face"] == "1f001"
    assert slugs["flag-for-turkiye"] == slugs["flag-turkiye"] == slugs["flag-for-turkey"]
