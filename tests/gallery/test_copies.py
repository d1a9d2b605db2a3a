"""Copies and versions of drawings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dpl_nas.gallery.copies import find_distinct, find_unlike, group_versions


def drawn(shape: str, colour: str) -> NDArray[np.uint8]:
    image = Image.new("RGBA", (48, 48))
    pen = ImageDraw.Draw(image)
    if shape == "house":
        pen.rectangle((8, 20, 40, 46), fill=colour, outline="black", width=2)
        pen.polygon([(4, 20), (24, 2), (44, 20)], fill=colour, outline="black")
    elif shape == "ring":
        pen.ellipse((4, 4, 44, 44), outline=colour, width=6)
    else:
        pen.line((2, 46, 46, 2), fill=colour, width=5)
    return np.asarray(image)


def test_equal_thumbnails_are_dropped() -> None:
    house, ring = drawn("house", "red"), drawn("ring", "red")
    assert find_distinct([house, ring, house.copy(), ring, house]) == [0, 1]


def test_near_copies_are_dropped() -> None:
    house = drawn("house", "red")
    near = house.copy()
    near[30:33, 20:23, 1] = 60
    assert find_unlike(np.stack([house, drawn("line", "blue"), near, drawn("ring", "red")])) == [
        0,
        1,
        3,
    ]


def test_versions_in_other_colours_are_one_drawing() -> None:
    pixels = [drawn("house", "red"), drawn("ring", "red"), drawn("house", "blue")]
    codes = ["a/house", "a/wheel", "a/home"]
    assert group_versions(np.stack(pixels), codes) == ["a/house", "a/wheel", "a/house"]


def test_versions_are_looked_for_within_a_folder_only() -> None:
    pixels = [drawn("house", "red"), drawn("house", "blue")]
    assert group_versions(np.stack(pixels), ["a/house", "b/house"]) == ["a/house", "b/house"]


def test_names_that_differ_in_a_colour_are_one_drawing() -> None:
    pixels = [drawn("house", "red"), drawn("ring", "red"), drawn("line", "red")]
    codes = ["a/cat_bw", "a/dog", "a/cat"]
    assert group_versions(np.stack(pixels), codes) == ["a/cat_bw", "a/dog", "a/cat_bw"]
