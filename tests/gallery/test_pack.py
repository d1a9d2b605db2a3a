"""Packed pictures: the shipped ones, and that damage to them is noticed."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dpl_nas.errors import CheckpointError, ConfigError
from dpl_nas.gallery import pack as module
from dpl_nas.gallery.pack import HASHES, PACKS, Gallery, hash_of, load_gallery, pack, read_gallery
from dpl_nas.gallery.packages import PACKAGES
from dpl_nas.gallery.picture import STYLES, THUMBNAIL, Picture, plain_code, tell_drawing
from dpl_nas.io.files import write_json

SHIPPED = Path(module.__file__).parent


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    return load_gallery()


def some(count: int) -> tuple[list[Picture], NDArray[np.uint8]]:
    pictures = [
        Picture(
            style=("noto", "twemoji")[index % 2],
            code=f"1f6{index // 2:02d}",
            drawing=f"noto/1f6{index // 2:02d}",
            name=f"thing {index // 2}",
            tags=("one", "two"),
            group="objects",
            subgroup="tool",
            tone=0,
            licence="MIT",
        )
        for index in range(count)
    ]
    # Each of one colour, so that a lossy sheet keeps it.
    thumbnails = np.zeros((count, THUMBNAIL, THUMBNAIL, 4), dtype=np.uint8)
    thumbnails[:, 8:40, 8:40, 3] = 255
    thumbnails[:, 8:40, 8:40, 0] = (np.arange(count) * 37 % 256)[:, None, None]
    return pictures, thumbnails


def test_all_styles_are_there_with_names_and_licences(gallery: Gallery) -> None:
    counts = Counter(picture.style for picture in gallery.pictures)
    assert set(counts) == set(STYLES)
    assert min(counts.values()) > 1000
    for picture in gallery.pictures:
        assert picture.name
        assert picture.group
        assert picture.licence == PACKAGES[STYLES[picture.style]].licence
        assert picture.tone in {0, 1, 3, 5}


def test_what_may_not_be_trained_on_is_in_a_pack_of_its_own() -> None:
    assert {each.licence for each in load_gallery("openmoji").pictures} == {"CC-BY-SA-4.0"}
    assert "CC-BY-SA-4.0" not in {each.licence for each in load_gallery("pictures").pictures}


def test_no_picture_of_a_style_is_there_twice(gallery: Gallery) -> None:
    assert len({(each.style, each.code) for each in gallery.pictures}) == len(gallery.pictures)


def test_skin_tones_genders_and_outlines_are_one_drawing(gallery: Gallery) -> None:
    of = {(each.style, each.code): each.drawing for each in gallery.pictures}
    running = of["noto", "1f3c3"]
    assert of["noto", "1f3c3-1f3ff-200d-2640"] == running
    assert of["openmoji", "1f415"] == of["openmoji_black", "1f415"]
    assert of["fluent", "1f415"] != of["noto", "1f415"]


@given(
    st.lists(
        st.sampled_from(["1f468", "1f469", "1f9d1", "1f3fb", "1f3ff", "200d", "2640", "1f680"])
    )
)
def test_a_drawing_depends_on_neither_tone_nor_gender(parts: list[str]) -> None:
    plain = [part for part in parts if part not in {"1f3fb", "1f3ff"}]
    plain = ["1f9d1" if part in {"1f468", "1f469"} else part for part in plain]
    assert tell_drawing("noto", "-".join(parts)) == tell_drawing("noto", "-".join(plain))


def test_codes_are_plain() -> None:
    assert plain_code("0023-FE0F-20E3") == "0023-20e3"


def test_thumbnails_have_transparent_surroundings(gallery: Gallery) -> None:
    pixels = gallery.thumbnails(range(0, len(gallery.pictures), 97))
    assert pixels.shape[1:] == (THUMBNAIL, THUMBNAIL, 4)
    assert not pixels[..., :3][pixels[..., 3] == 0].any()
    assert (pixels[..., 3] > 200).any(axis=(1, 2)).all()
    assert gallery.thumbnail(5).mode == "RGBA"
    assert (np.asarray(gallery.thumbnail(5)) == gallery.thumbnails([5])[0]).all()


@pytest.mark.parametrize(
    "indices",
    [
        [-1],
        [1.9],
        ["3"],
        [True, False],
        np.ones(5, dtype=bool),
        [10**6],
        [10**30],
        [[1, 2]],
        3,
        None,
    ],
)
def test_what_is_no_index_is_refused(gallery: Gallery, indices: Any) -> None:
    with pytest.raises(ConfigError, match="list of whole numbers from 0 to 18967, found"):
        gallery.thumbnails(indices)


def test_no_index_is_no_thumbnail(gallery: Gallery) -> None:
    assert gallery.thumbnails([]).shape == (0, THUMBNAIL, THUMBNAIL, 4)


def test_packs_are_given_by_name_in_any_order(gallery: Gallery) -> None:
    assert load_gallery("openmoji", "pictures", "openmoji") is gallery
    for name in ("openmoji.zip", "../pictures", ["pictures"], 3):
        with pytest.raises(ConfigError, match="are pictures and openmoji, found"):
            load_gallery(name)  # type: ignore[arg-type]


def test_what_is_packed_is_read(tmp_path: Path) -> None:
    pictures, thumbnails = some(300)
    content = pack(pictures, thumbnails, {"pillow": "1"})
    assert content == pack(pictures, thumbnails, {"pillow": "1"})
    (tmp_path / "pictures.zip").write_bytes(content)
    write_json(tmp_path / HASHES, {"pictures": hash_of(content)})
    found = read_gallery(tmp_path, ["pictures"])
    assert list(found.pictures) == pictures
    order = [299, 0, 255, 256, 0]
    middles = (slice(None), slice(16, 32), slice(16, 32))
    read = found.thumbnails(order)[middles].astype(int)
    assert np.abs(read - thumbnails[order][middles]).max() < 16


def test_a_damaged_pack_is_refused_in_one_sentence(tmp_path: Path) -> None:
    for name in (HASHES, *(f"{each}.zip" for each in PACKS)):
        shutil.copy(SHIPPED / name, tmp_path / name)
    path = tmp_path / "openmoji.zip"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match=r"openmoji\.zip is damaged or of another version"):
        read_gallery(tmp_path)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"openmoji\.zip does not exist"):
        read_gallery(tmp_path)


@settings(deadline=None, max_examples=25)
@given(content=st.binary(max_size=200))
def test_a_file_that_is_no_pack_is_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("pack")
    (folder / "pictures.zip").write_bytes(content)
    write_json(folder / HASHES, {"pictures": hash_of(content)})
    with pytest.raises(CheckpointError, match="is no pack of pictures"):
        read_gallery(folder, ["pictures"])
