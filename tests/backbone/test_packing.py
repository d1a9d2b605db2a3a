"""Which tokens of captions are computed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpl_nas.backbone import packing
from dpl_nas.backbone.packing import plan_text


def captions(shared: int, own: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings of width 1 whose value tells class and place, read at each one's end."""
    tokens = shared + max(own)
    embeddings = torch.arange(float(len(own) * tokens)).view(len(own), tokens, 1)
    embeddings[:, :shared] = -torch.arange(1.0, shared + 1)[:, None]
    pooling = torch.zeros(len(own), tokens)
    for row, length in enumerate(own):
        pooling[row, shared + length - 1] = 1
    return embeddings, pooling


@settings(deadline=None, max_examples=60)
@given(
    shared=st.integers(0, 4),
    own=st.lists(st.integers(1, 5), min_size=2, max_size=9),
    chunk=st.integers(1, 30),
)
def test_every_own_token_is_kept_once(shared: int, own: list[int], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "_WORTHWHILE", 0)
        embeddings, pooling = captions(shared, own)
        plan = plan_text(embeddings, pooling, chunk)
    assert torch.equal(plan.prefix, embeddings[0, :shared])
    assert sum(each.classes for each in plan.classes) == len(own)
    order = torch.arange(len(own)) if plan.order is None else plan.order
    start = 0
    for each in plan.classes:
        classes = order.argsort()[start : start + each.classes].tolist()
        lengths = [own[i] for i in classes]
        kept = torch.cat([embeddings[i, shared : shared + own[i]] for i in classes])
        assert torch.equal(each.embeddings, kept)
        assert len(kept) <= max(chunk, *lengths)
        assert each.pooling is None
        # What is read is each class's last own token.
        ends = torch.tensor(lengths).cumsum(0) - 1
        assert torch.equal(each.read, ends)
        if each.grid is None:
            assert len(kept) == each.classes * each.tokens
            assert torch.equal(each.read_places, each.read)
        else:
            assert each.places is not None
            assert torch.equal(each.grid[each.places], torch.arange(len(kept)))
            assert torch.equal(each.grid[each.read_places], each.read)
        start += each.classes


def test_the_prefix_ends_before_what_is_read() -> None:
    # One class, or equal ones, share all; the token that is read is still their own.
    embeddings, pooling = captions(3, [2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "_WORTHWHILE", 0)
        plan = plan_text(embeddings, pooling, 100)
    assert len(plan.prefix) == 4
    assert plan.classes[0].embeddings.shape == (1, 1)


def test_little_text_is_left_as_it_is() -> None:
    embeddings, pooling = captions(3, [1, 2])
    plan = plan_text(embeddings, pooling, 100)
    assert len(plan.prefix) == 0
    assert plan.classes[0].grid is None
    assert plan.classes[0].embeddings.shape == (10, 1)


@settings(deadline=None, max_examples=60)
@given(
    shared=st.integers(1, 4),
    own=st.lists(st.integers(1, 5), min_size=1, max_size=9),
    chunk=st.integers(1, 30),
    times=st.integers(1, 4),
    mean=st.booleans(),
)
def test_classes_are_repeated_in_their_order(
    shared: int, own: list[int], chunk: int, times: int, mean: bool
) -> None:
    embeddings, pooling = captions(shared, own)
    if mean:
        # The first own token is read, too.
        pooling[:, shared] += 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "_WORTHWHILE", 0)
        plan = plan_text(embeddings, pooling, chunk)

    def pooled(plan: packing.TextPlan) -> torch.Tensor:
        parts = []
        for each in plan.classes:
            grid = each.embeddings if each.grid is None else each.embeddings[each.grid]
            assert len(grid) == each.classes * each.tokens
            assert torch.equal(grid[each.read_places], each.embeddings[each.read])
            if each.places is not None:
                assert torch.equal(grid[each.places], each.embeddings)
            assert len(each.at) == len(each.embeddings)
            read = each.embeddings[each.read]
            parts.append(read if each.pooling is None else each.pooling @ read)
        together = torch.cat(parts)
        return together if plan.order is None else together[plan.order]

    assert torch.equal(pooled(plan.repeated(times)), pooled(plan).repeat(times, 1))
    assert torch.equal(plan.repeated(times).prefix, plan.prefix)


def test_what_tokens_see_is_repeated() -> None:
    embeddings, pooling = captions(0, [2, 3])
    seen = torch.tensor([[True, True, False], [True, True, True]])
    (packed,) = packing.whole_plan(embeddings, pooling, 100, seen).repeated(2).classes
    assert packed.seen is not None
    assert torch.equal(packed.seen, seen.repeat(2, 1))
