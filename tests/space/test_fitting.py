import itertools
import math
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from dpl_nas.errors import ArchitectureError
from dpl_nas.space import Architecture, Space, fitting, load_space
from dpl_nas.space.flops import flops_per_vector, image_tower_size

VECTOR = flops_per_vector(image_tower_size("mini-clip"))


def space_of(
    image: tuple[int, list[int]] | None, text: tuple[int, list[int]] | None, **limits: Any
) -> Space:
    """Towers as (layers, lengths)."""
    towers = {
        name: {"layers": list(range(part[0])), "lengths": part[1]}
        for name, part in {"image": image, "text": text}.items()
        if part is not None
    }
    return Space.model_validate({"name": "small", "towers": towers, **limits})


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Small enough to list, with none, one or two limits that something meets."""
    tower = st.tuples(
        st.integers(1, 3), st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True)
    )
    image, text = draw(st.tuples(tower | st.none(), tower | st.none()).filter(any))
    least_image, least_text = (part[0] * min(part[1]) if part else 0 for part in (image, text))
    vectors = draw(st.none() | st.integers(least_image + least_text, 24))
    flops = draw(st.none() | st.integers(least_image, 12))
    return space_of(
        image,
        text,
        max_context_vectors=vectors,
        max_flops=None if flops is None else flops * VECTOR + 0.5,
    )


def flat(architecture: Architecture) -> tuple[int, ...]:
    return tuple(length for _, _, length in architecture.items())


def brute_force(space: Space) -> Iterator[Architecture]:
    """All that fit, by trying every combination; in lexicographic order."""
    labels = [label for label, _, _ in space.labels()]
    offered = [space.towers[tower].lengths for _, tower, _ in space.labels()]
    for lengths in itertools.product(*offered):
        try:
            yield space.architecture(dict(zip(labels, lengths, strict=True)))
        except ArchitectureError:
            continue


randoms = st.integers(0, 2**32).map(Random)
# Few values, so that ties are common, and some that floats cannot add exactly.
values = st.sampled_from([-math.inf, -1.0, -0.1, 0.0, 0.1, 0.2, 0.3, 1e30, -1e-30])


@settings(deadline=None, max_examples=60)
@given(spaces(), st.data())
def test_enumeration(space: Space, data: st.DataObject) -> None:
    listed = list(fitting.enumerate_all(space))
    assert listed == list(brute_force(space))
    assert fitting.count(space) == len(listed)
    index = data.draw(st.integers(0, len(listed) - 1))
    assert fitting.nth(space, index) == listed[index]


@settings(deadline=None, max_examples=60)
@given(spaces(), st.data())
def test_projection_is_brute_force(space: Space, data: st.DataObject) -> None:
    scores = {
        label: [data.draw(values) for _ in space.towers[tower].lengths]
        for label, tower, _ in space.labels()
    }

    def key(architecture: Architecture) -> tuple[int, int, int]:
        chosen = [
            scores[f"{tower}/{layer}"][space.towers[tower].lengths.index(length)]
            for tower, layer, length in architecture.items()
        ]
        finite = [score for score in chosen if score > -math.inf]
        ratios = [score.as_integer_ratio() for score in finite]
        exact = sum(above * (2**200 // below) for above, below in ratios)
        return len(finite) - len(chosen), exact, -architecture.vectors

    # max takes the first of equals: the lexicographically smallest.
    assert fitting.project(space, scores) == max(brute_force(space), key=key)


def test_projection_breaks_ties_by_vectors_and_then_by_layer() -> None:
    space = space_of((2, [0, 1, 2]), (2, [0, 1]), max_context_vectors=3)
    flat_scores = {label: [0.0] * (3 if "image" in label else 2) for label, _, _ in space.labels()}
    assert flat(fitting.project(space, flat_scores)) == (0, 0, 0, 0)
    one_wanted = {**flat_scores, "image/0": [0.0, 1.0, 1.0], "image/1": [0.0, 1.0, 1.0]}
    assert flat(fitting.project(space, one_wanted)) == (1, 1, 0, 0)
    tight = space_of((2, [0, 1, 2]), (2, [0, 1]), max_context_vectors=1)
    assert flat(fitting.project(tight, one_wanted)) == (0, 1, 0, 0)


def test_projection_of_a_large_space() -> None:
    space = load_space("mini_clip_budget6")
    rng = Random(1)
    scores = {label: [rng.random() for _ in range(7)] for label, _, _ in space.labels()}
    assert fitting.project(space, scores).vectors <= 6
    # By layer, as if there were no budget.
    free = fitting.project(load_space("mini_clip"), scores)
    assert flat(free) == tuple(row.index(max(row)) for row in scores.values())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"image/9": [0.0]}, "missing or unknown: image/9"),
        ({"image/0": [0.0]}, r"expected 2 scores for image/0.* found \[0.0\]"),
        ({"image/0": [0.0, math.nan]}, "found .*nan"),
        ({"image/0": [0.0, math.inf]}, "found .*inf"),
    ],
)
def test_bad_scores(change: dict[str, list[float]], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        fitting.project(space_of((1, [0, 1]), None), {"image/0": [0.0, 1.0], **change})


@settings(deadline=None, max_examples=60)
@given(spaces(), randoms)
def test_samples_fit(space: Space, rng: Random) -> None:
    drawn = fitting.sample(space, rng)
    space.check(drawn)
    label, tower, _ = next(space.labels())
    fixed = {label: drawn.lengths[tower][0]}
    assert fitting.sample(space, rng, fixed).lengths[tower][0] == fixed[label]


def test_samples_are_uniform() -> None:
    space = space_of((2, [0, 1, 3]), (2, [0, 2]), max_context_vectors=5, max_flops=3 * VECTOR)
    rng = Random(0)
    seen = Counter(flat(fitting.sample(space, rng)) for _ in range(4000))
    assert len(seen) == fitting.count(space)
    assert chisquare(list(seen.values())).pvalue > 0.01


def test_lengths_that_cannot_be_fixed() -> None:
    space = space_of((2, [0, 1, 2]), None, max_context_vectors=2)
    for fixed in ({"image/0": 2, "image/1": 1}, {"image/0": 5}):
        with pytest.raises(
            ArchitectureError, match=r"no architecture that fits space small has length \d at"
        ):
            fitting.sample(space, Random(0), fixed)


@settings(deadline=None, max_examples=60)
@given(spaces(), randoms, st.integers(1, 4))
def test_mutations_fit_and_differ(space: Space, rng: Random, layers: int) -> None:
    parent = fitting.sample(space, rng)
    child = fitting.mutate(space, parent, rng, layers)
    space.check(child)
    assert (child == parent) == (fitting.count(space) == 1)


@pytest.mark.parametrize("layers", [1, 2])
def test_mutations_reach_everything(layers: int) -> None:
    space = space_of((3, [0, 1, 2]), (2, [0, 2]), max_context_vectors=3)
    rng, current, seen = Random(0), space.uniform(0), set()
    for _ in range(2000):
        current = fitting.mutate(space, current, rng, layers)
        seen.add(flat(current))
    assert len(seen) == fitting.count(space)


def test_mutations_are_uniform_over_the_open_layers() -> None:
    space = space_of((2, [0, 1, 2]), None, max_context_vectors=3)
    parent = space.uniform(1)
    rng = Random(0)
    seen = Counter(flat(fitting.mutate(space, parent, rng)) for _ in range(2000))
    assert len(seen) == fitting.count(space) - 1
    assert chisquare(list(seen.values())).pvalue > 0.01


def test_mutations_change_two_layers_as_a_rule() -> None:
    space = load_space("mini_clip")
    rng = Random(0)
    parent = fitting.sample(space, rng)
    changed = [
        sum(
            a != b
            for a, b in zip(flat(parent), flat(fitting.mutate(space, parent, rng)), strict=True)
        )
        for _ in range(50)
    ]
    assert set(changed) <= {1, 2}
    with pytest.raises(ValueError, match="layers to be at least 1, found 0"):
        fitting.mutate(space, parent, rng, 0)


@settings(deadline=None, max_examples=60)
@given(spaces(), randoms)
def test_children_fit_and_take_from_their_parents(space: Space, rng: Random) -> None:
    a, b = fitting.sample(space, rng), fitting.sample(space, rng)
    child = fitting.crossover(space, a, b, rng)
    space.check(child)
    for length, *parents in zip(flat(child), flat(a), flat(b), strict=True):
        assert length in parents


@settings(deadline=None, max_examples=60)
@given(spaces(), randoms)
def test_a_run_of_layers_has_one_length(space: Space, rng: Random) -> None:
    parent = fitting.sample(space, rng)
    child = fitting.fill_run(space, parent, rng)
    space.check(child)
    for tower, lengths in child.lengths.items():
        least = space.towers[tower].lengths[0]
        changed = [
            at
            for at, (new, old) in enumerate(zip(lengths, parent.lengths[tower], strict=True))
            if new not in (old, least)
        ]
        if changed:
            run = lengths[changed[0] : changed[-1] + 1]
            assert len(set(run)) == 1


def test_runs_empty_a_tower_and_fill_layers_within_the_limit() -> None:
    space = space_of((3, [0, 2]), (3, [0, 2]), max_context_vectors=6)
    parent = space.architecture_of({"image": (2, 2, 2), "text": (0, 0, 0)})
    rng = Random(0)
    found = {flat(fitting.fill_run(space, parent, rng)) for _ in range(300)}
    assert {(0, 0, 0, 0, 0, 0), (0, 0, 2, 0, 0, 0), (0, 0, 0, 2, 2, 2)} <= found
    assert all(sum(each) <= 6 for each in found)


def test_parents_from_elsewhere() -> None:
    space = space_of((2, [0, 2]), None, max_context_vectors=2)
    over = space_of((2, [0, 2]), None).uniform(2)
    with pytest.raises(
        ArchitectureError, match="costs 4 context vectors, but space small allows only 2"
    ):
        fitting.mutate(space, over, Random(0))
    with pytest.raises(ArchitectureError, match="costs 4 context vectors"):
        fitting.crossover(space, space.uniform(0), over, Random(0))


def test_the_order_of_towers_in_a_file_does_not_matter() -> None:
    space = space_of((1, [0, 1]), (1, [0, 3]), max_context_vectors=3)
    there = space.architecture({"image/0": 0, "text/0": 3}).model_dump()
    turned = Architecture.model_validate(
        {**there, **{key: dict(reversed(there[key].items())) for key in ("layers", "lengths")}}
    )
    assert fitting.crossover(space, turned, turned, Random(0)).lengths == turned.lengths


def test_indices_that_are_not_there() -> None:
    with pytest.raises(IndexError, match="an index from 0 to 3 in space small, found 4"):
        fitting.nth(space_of((2, [0, 1]), None), 4)


@settings(deadline=None, max_examples=60)
@given(spaces())
def test_manual_designs_are_all_that_are_uniform(space: Space) -> None:
    designs = fitting.portfolio(space)
    lengths = [flat(design) for design in designs.values()]
    assert len(set(lengths)) == len(lengths)

    def uniform(architecture: Architecture) -> bool:
        """One length, and in each tower that has it at the same number of ends or at all."""
        used = {
            tower: tuple(length > 0 for length in part)
            for tower, part in architecture.lengths.items()
            if any(part)
        }
        if len(set(flat(architecture)) - {0}) != 1:
            return False
        if all(all(places) for places in used.values()):
            return True
        counts = {sum(places) for places in used.values()}
        firsts = all(sorted(places, reverse=True) == list(places) for places in used.values())
        lasts = all(sorted(places) == list(places) for places in used.values())
        return len(counts) == 1 and (firsts or lasts)

    assert set(lengths) == {flat(each) for each in brute_force(space) if uniform(each)}


def test_names_of_manual_designs() -> None:
    space = space_of((2, [0, 1, 2]), (2, [0, 1]), max_context_vectors=2)
    designs = {name: flat(design) for name, design in fitting.portfolio(space).items()}
    assert designs == {
        "image all x 1": (1, 1, 0, 0),
        "image first 1 x 1": (1, 0, 0, 0),
        "image first 1 x 2": (2, 0, 0, 0),
        "image last 1 x 1": (0, 1, 0, 0),
        "image last 1 x 2": (0, 2, 0, 0),
        "text all x 1": (0, 0, 1, 1),
        "text first 1 x 1": (0, 0, 1, 0),
        "text last 1 x 1": (0, 0, 0, 1),
        "both first 1 x 1": (1, 0, 1, 0),
        "both last 1 x 1": (0, 1, 0, 1),
    }


@pytest.mark.parametrize("name", ["mini_clip", "mini_clip_budget6", "mini_clip_budget12",
                                  "mini_clip_budget24"])  # fmt: skip
def test_the_portfolio_begins_with_what_differs(name: str) -> None:
    space = load_space(name)
    first = list(fitting.portfolio(space).items())[:6]
    told = [design.split()[:2] for design, _ in first]
    assert {towers for towers, _ in told} == {"text", "image", "both"}
    assert {placement for _, placement in told} >= {"first", "last"}
    if space.limits:
        assert {each.vectors for _, each in first} == {space.limits[0].most}
    else:
        assert {max(each.lengths["image"] + each.lengths["text"]) for _, each in first} == {4}


def test_counts_of_the_packaged_spaces() -> None:
    # Ways to put at most 6 vectors on 24 layers.
    assert fitting.count(load_space("mini_clip_budget6")) == math.comb(24 + 6, 6)
    assert fitting.count(load_space("mini_clip")) == 7**24


@settings(deadline=None, max_examples=60)
@given(spaces(), st.data())
def test_weighted_draws_have_exactly_their_probabilities(space: Space, data: st.DataObject) -> None:
    """Every share that the draw is made by, multiplied along the way, against enumeration."""
    # Powers of two are exact; 0 rules a length out, small ones must not become 0.
    some = st.sampled_from([0.0, 2.0**-200, 0.25, 0.5, 1.0, 4.0])
    weights = {
        label: [data.draw(some) for _ in space.towers[tower].lengths]
        for label, tower, _ in space.labels()
    }

    def exact(architecture: Architecture) -> Fraction:
        product = Fraction(1)
        for tower, layer, length in architecture.items():
            index = space.towers[tower].lengths.index(length)
            product *= Fraction(weights[f"{tower}/{layer}"][index])
        return product

    listed = list(fitting.enumerate_all(space))
    sums = {flat(each): exact(each) for each in listed}
    total = sum(sums.values())
    found: dict[tuple[int, ...], float] = {}
    for path in listed:
        chooser = Chooser(flat(path))
        drawn = fitting.sample_weighted(space, chooser, weights)
        if not total:
            # Nothing has a weight: the draw is that of sample.
            assert chooser.uniform
            return
        found[flat(drawn)] = chooser.probability
    for lengths, product in sums.items():
        assert found.get(lengths, 0.0) == pytest.approx(float(product / total), rel=1e-12, abs=0)
    assert sum(found.values()) == pytest.approx(1)


class Chooser(Random):
    """Draws what it is told to as far as it may, and multiplies the probabilities."""

    def __init__(self, wanted: tuple[int, ...]) -> None:
        super().__init__(0)
        self.wanted = iter(wanted)
        self.probability = 1.0
        self.uniform = False

    def choices(self, population: Any, weights: Any = None, **_: Any) -> Any:
        wanted = next(self.wanted)
        shares = {option: share for option, share in zip(population, weights, strict=True) if share}
        option = next((each for each in shares if each[0] == wanted), next(iter(shares)))
        self.probability *= shares[option] / sum(weights)
        return [option]

    def randrange(self, *arguments: Any) -> int:
        self.uniform = True
        return super().randrange(*arguments)


def test_weighted_draws_are_distributed_so() -> None:
    space = space_of((2, [0, 1, 2]), (2, [0, 1]), max_context_vectors=3)
    weights = {
        "image/0": [0.5, 0.25, 0.25],
        "image/1": [0.1, 0.3, 0.6],
        "text/0": [0.9, 0.1],
        "text/1": [0.0, 1.0],
    }
    rng = Random(5)
    count = 4000
    seen = Counter(flat(fitting.sample_weighted(space, rng, weights)) for _ in range(count))
    products = {
        lengths: math.prod(weights[label][c] for label, c in zip(weights, lengths, strict=True))
        for lengths in map(flat, brute_force(space))
    }
    possible = {lengths: product for lengths, product in products.items() if product}
    assert set(seen) <= set(possible)
    total = sum(possible.values())
    expected = [count * product / total for product in possible.values()]
    assert chisquare([seen[lengths] for lengths in possible], expected).pvalue > 1e-3


def test_weights_that_are_none() -> None:
    space = space_of((2, [0, 1]), None, max_context_vectors=1)
    even = {"image/0": [1.0, 1.0], "image/1": [1.0, 1.0]}
    for wrong in (
        {**even, "image/0": [1.0]},
        {**even, "image/0": [1.0, -0.1]},
        {**even, "image/0": [1.0, math.inf]},
        {**even, "image/0": [1.0, math.nan]},
        {"image/0": [1.0, 1.0]},
    ):
        with pytest.raises(ValueError, match="expected 2 finite weights of 0 or more for image/"):
            fitting.sample_weighted(space, Random(1), wrong)
    with pytest.raises(ValueError, match="has no layers text/0"):
        fitting.sample_weighted(space, Random(1), {**even, "text/0": [1.0]})


def test_weights_whose_product_is_below_all_floats() -> None:
    """Only one layer may have a vector; the first is a million times as likely as the others."""
    space = load_space("mini_clip_budget6").model_copy(update={"max_context_vectors": 1})
    weights = {label: [1e-30, 1.0, *[0.0] * 5] for label, _, _ in space.labels()}
    weights["image/0"][1] = 1e6
    rng = Random(3)
    drawn = [flat(fitting.sample_weighted(space, rng, weights))[0] for _ in range(200)]
    assert sum(drawn) >= 199


def test_weighted_draws_of_a_large_space() -> None:
    """24 layers whose weights differ by many orders."""
    space = load_space("mini_clip_budget6")
    rng = Random(2)
    weights = {
        label: [10.0 ** -(40 * rng.random()) for _ in range(7)] for label, _, _ in space.labels()
    }
    for _ in range(20):
        space.check(fitting.sample_weighted(space, rng, weights))


@settings(deadline=None, max_examples=60)
@given(spaces(), st.integers(0, 100), st.integers(0, 12), st.integers(0, 12))
def test_distinct_samples(space: Space, seed: int, number: int, more: int) -> None:
    found = fitting.distinct_sample(space, Random(seed), number)
    assert len(set(found)) == len(found) == min(number, fitting.count(space))
    # A larger number keeps what a smaller one had.
    assert fitting.distinct_sample(space, Random(seed), number + more)[: len(found)] == found


def test_distinct_samples_of_a_large_space() -> None:
    space = load_space("mini_clip_budget6")
    found = fitting.distinct_sample(space, Random(3), 50)
    assert len(set(found)) == 50
    assert fitting.distinct_sample(space, Random(3), 20) == found[:20]


def test_distinct_draws_leave_out_what_is_known() -> None:
    space = space_of((2, [0, 1]), None)
    everything = list(fitting.enumerate_all(space))
    rng = Random(0)
    draws = iter([everything[0], everything[1], everything[1], everything[2], everything[3]])
    found = fitting.distinct(lambda: next(draws), 2, tries=9, known=everything[:1])
    assert found == [everything[1], everything[2]]
    assert not fitting.distinct(
        lambda: fitting.sample(space, rng), 1, tries=50, known=set(everything)
    )


@settings(deadline=None, max_examples=60)
@given(spaces(), randoms)
def test_offspring(space: Space, rng: Random) -> None:
    parents = [fitting.sample(space, rng), fitting.sample(space, rng)]
    asked: list[Architecture] = []

    def select() -> Architecture:
        asked.append(parents[len(asked) % 2])
        return asked[-1]

    crossed = fitting.offspring(space, select, rng, crosses=True, mutated_layers=0)
    space.check(crossed)
    assert len(asked) == 2
    assert all(
        length in pair for length, *pair in zip(*map(flat, (crossed, *parents)), strict=True)
    )
    mutated = fitting.offspring(space, select, rng, crosses=False, mutated_layers=1)
    space.check(mutated)
    assert len(asked) == 3
    assert (mutated == parents[0]) == (fitting.count(space) == 1)


@settings(deadline=None, max_examples=60)
@given(spaces())
def test_the_even_design_is_full(space: Space) -> None:
    design = fitting.even_design(space)
    space.check(design)
    lengths = design.by_label()
    assert fitting.fits(space, lengths)
    # No layer can be given its next length.
    for label, tower, _ in space.labels():
        offered = space.towers[tower].lengths
        longer = [length for length in offered if length > lengths[label]][:1]
        assert not any(fitting.fits(space, {**lengths, label: length}) for length in longer)


def test_the_even_design_spreads_what_is_left() -> None:
    def text_lengths(most: int) -> tuple[int, ...]:
        return flat(fitting.even_design(space_of(None, (8, [0, 1, 2]), max_context_vectors=most)))

    assert text_lengths(0) == (0,) * 8
    assert text_lengths(2) == (1, 0, 0, 0, 1, 0, 0, 0)
    assert text_lengths(4) == (1, 0) * 4
    assert text_lengths(8) == (1,) * 8
    assert text_lengths(12) == (2, 1) * 4
    both = load_space("mini_clip_budget12")
    assert flat(fitting.even_design(both)) == (1, 0) * 12
    assert fitting.even_design(load_space("mini_clip_budget24")) == load_space(
        "mini_clip_budget24"
    ).uniform(1)


@settings(deadline=None, max_examples=60)
@given(spaces(), st.floats(0.01, 1), st.floats(0, 1))
def test_limits_are_bound_and_relaxed(space: Space, share: float, relaxed: float) -> None:
    parts = space.towers.values()
    least, most = (sum(part.lengths[end] * len(part.layers) for part in parts) for end in (0, -1))
    bound = fitting.bound_vectors(space, share)
    assert bound.max_context_vectors is not None
    if space.max_context_vectors is not None:
        assert bound == space
    else:
        assert bound.max_context_vectors == max(least, round(share * most))
    longest = {label: space.towers[tower].lengths[-1] for label, tower, _ in space.labels()}
    assert fitting.relax(bound, 0.0).limits == bound.limits
    assert fitting.fits(fitting.relax(bound, 1.0), longest)
    for before, after in zip(bound.limits, fitting.relax(bound, relaxed).limits, strict=True):
        assert before.most <= after.most
