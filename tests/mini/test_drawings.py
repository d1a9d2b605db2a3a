"""Batches of drawings: what they show, what is said of them, and what is kept from them."""

from __future__ import annotations

import pytest
import torch

from dpl_nas.gallery import find_training_pictures, load_gallery
from dpl_nas.mini.batch import UNTOLD
from dpl_nas.mini.drawings import every_name, find_emoji, load_drawings, phrases_of, sample_drawings
from dpl_nas.mini.render import IMAGE_SIZE
from dpl_nas.mini.vocabulary import CONTEXT_LENGTH, tokenizer


@pytest.mark.parametrize("seed", range(6))
def test_batches_follow_their_seed_and_every_caption_fits_an_image(seed: int) -> None:
    one, two = sample_drawings(24, seed), sample_drawings(24, seed)
    assert torch.equal(one.images, two.images)
    assert one.captions == two.captions
    assert one.images.shape == (24, 3, IMAGE_SIZE, IMAGE_SIZE)
    assert one.images.min() >= 0
    assert one.images.max() <= 1
    assert one.fits.shape == (24, len(one.captions))
    assert one.fits.any(dim=0).all()
    assert one.fits.any(dim=1).all()
    assert len(set(one.captions)) == len(one.captions)


def test_a_caption_fits_all_images_that_have_its_phrase() -> None:
    batch = sample_drawings(96, 5)
    names = batch.facts["name"]
    for column, name in enumerate(batch.told["name"].tolist()):
        if name != UNTOLD:
            assert batch.fits[names == name, column].all()


def test_told_facts_are_those_of_an_image_that_fits() -> None:
    batch = sample_drawings(96, 6)
    for fact, told in batch.told.items():
        for column, value in enumerate(told.tolist()):
            if value != UNTOLD:
                assert value in batch.facts[fact][batch.fits[:, column]].tolist()


def test_captions_fit_the_context() -> None:
    longest = max(
        len(tokenizer().encode(caption))
        for seed in range(8)
        for caption in sample_drawings(64, seed).captions
    )
    assert longest + 2 <= CONTEXT_LENGTH


def test_only_pictures_for_training_are_drawn() -> None:
    gallery = load_gallery("pictures")
    allowed = find_training_pictures(gallery)
    drawings = load_drawings()
    assert len(drawings.thumbnails) == len(allowed)
    assert drawings.phrases == tuple(phrases_of(gallery.pictures[place]) for place in allowed)
    assert {gallery.pictures[place].style for place in allowed}.isdisjoint(
        {"fluent", "emojione", "openmoji", "openmoji_black"}
    )
    assert torch.isclose(drawings.weights.sum(), torch.tensor(1.0))


def test_no_caption_names_a_way_to_draw() -> None:
    said = {word for phrases in load_drawings().phrases for word in phrases}
    assert said.isdisjoint({"noto", "twemoji", "flat drawing", "line drawing"})


def test_a_name_comes_first_and_a_kind_is_in_words() -> None:
    gallery = load_gallery("pictures")
    picture = next(p for p in gallery.pictures if p.subgroup == "food-asian")
    phrases = phrases_of(picture)
    assert phrases[0] == picture.name.lower()
    assert "asian food" in phrases
    assert "asian food" in every_name()


def test_one_picture_stands_for_each_name() -> None:
    names = load_drawings().names[find_emoji()]
    assert len(names.unique()) == len(names) > 1000
