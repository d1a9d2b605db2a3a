"""Renderer, captions and batches."""

from __future__ import annotations

import random

import pytest
import torch

from dpl_nas.mini.captions import SYNONYMS, every_word, glyph_caption, plural
from dpl_nas.mini.render import COLOURS, IMAGE_SIZE, TEXTURES
from dpl_nas.mini.scenes import Variety, counted, paint, sample_batch, singles
from dpl_nas.mini.silhouettes import ATLAS_SIZE, BASIC_SHAPES, RARE_SHAPES, SHAPES, shape_atlas
from dpl_nas.mini.vocabulary import CONTEXT_LENGTH, find_tokens, tokenizer


def test_atlas_holds_a_distance_field_for_every_shape() -> None:
    atlas = shape_atlas()
    assert atlas.shape == (len(SHAPES), ATLAS_SIZE, ATLAS_SIZE)
    assert len(BASIC_SHAPES) == 16
    assert len(RARE_SHAPES) == 10
    # Ink inside, paper at every corner; neighbours differ by no more than their distance.
    assert (atlas.amin(dim=(1, 2)) < 0).all()
    assert (atlas[:, 0, 0] > 0).all()
    step = 2 / ATLAS_SIZE
    assert ((atlas[:, 1:] - atlas[:, :-1]).abs() <= 1.5 * step).all()


def test_shapes_are_all_different() -> None:
    ink = (shape_atlas() < 0).flatten(1).float()
    overlap = (ink @ ink.T) / ink.sum(dim=1).clamp(min=1)
    both = torch.minimum(overlap, overlap.T).fill_diagonal_(0)
    assert both.max() < 0.95


@pytest.mark.parametrize("seed", range(12))
def test_batches_follow_their_seed_and_caption_every_image(seed: int) -> None:
    one, two = sample_batch(16, seed), sample_batch(16, seed)
    assert torch.equal(one.images, two.images)
    assert one.captions == two.captions
    assert torch.equal(one.fits, two.fits)
    assert one.images.shape == (16, 3, IMAGE_SIZE, IMAGE_SIZE)
    assert one.images.min() >= 0
    assert one.images.max() <= 1
    assert one.fits.shape == (16, len(one.captions))
    assert (one.fits.sum(dim=1) == 1).all()
    assert one.fits.any(dim=0).all()
    assert len(set(one.captions)) == len(one.captions)


def test_seeds_and_difficulties_differ() -> None:
    assert not torch.equal(sample_batch(8, 1).images, sample_batch(8, 2).images)
    assert not torch.equal(sample_batch(8, 1, 0.0).images, sample_batch(8, 1, 1.0).images)


def test_rendering_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    sample_batch(8, 3)
    assert torch.equal(before, torch.get_rng_state())


def test_captions_fit_the_context_and_use_known_tokens() -> None:
    known = set(find_tokens(every_word()))
    codec = tokenizer()
    for seed in range(60):
        for caption in sample_batch(8, seed).captions:
            ids = codec.encode(caption)
            assert len(ids) + 2 <= CONTEXT_LENGTH, caption
            assert set(ids) <= known, caption


def test_more_objects_cover_more_of_the_image() -> None:
    variety = Variety(textured=0.0, busy=0.0, styles=(1.0, 0.0, 0.0))
    shapes = torch.zeros(64, dtype=torch.long)
    covered = []
    for number in (1, 3, 6):
        generator = torch.Generator().manual_seed(1)
        images = counted(torch.full((64,), number), shapes, variety, generator)
        covered.append(images.var(dim=(2, 3)).mean().item())
    assert covered[0] < covered[1] < covered[2]


def test_a_colour_dominates_the_middle_of_its_image() -> None:
    labels = torch.tensor([list(COLOURS).index("red")] * 32)
    variety = Variety(radius=(13.0, 13.5), styles=(1.0, 0.0, 0.0), textured=0.0)
    images = paint(torch.Generator().manual_seed(0), colours=labels, variety=variety)
    middle = images[:, :, 12:20, 12:20].mean(dim=(0, 2, 3))
    assert middle[0] > middle[1]
    assert middle[0] > middle[2]


def test_painting_needs_a_label() -> None:
    with pytest.raises(ValueError, match="expected colours or textures"):
        paint(torch.Generator())


def test_single_shapes_have_the_size_of_the_model() -> None:
    images = singles(torch.arange(10), Variety(), torch.Generator().manual_seed(0), RARE_SHAPES)
    assert images.shape == (10, 3, IMAGE_SIZE, IMAGE_SIZE)


def test_words() -> None:
    assert plural("cross") == "crosses"
    assert plural("box") == "boxes"
    assert plural("fish") == "fish"
    assert plural("star") == "stars"
    assert set(SYNONYMS) <= set(SHAPES) | set(TEXTURES)
    assert "five" in glyph_caption(random.Random(0), "5")
