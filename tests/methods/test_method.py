"""What every method promises."""

import pytest
import torch

from dpl_nas.methods import METHODS, make_method
from dpl_nas.training.problem import Problem
from tests.methods.conftest import Plain


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_its_promises(name: str, problem: Problem, plain: Plain) -> None:
    backbone = problem.backbone
    before = {key: value.clone() for key, value in backbone.model.state_dict().items()}
    learned = make_method(name).adapt(problem)
    # It depends on nothing but its arguments.
    torch.manual_seed(99)
    again = make_method(name).adapt(problem)
    assert learned.tensors.keys() == again.tensors.keys()
    for key, value in learned.tensors.items():
        assert torch.equal(value, again.tensors[key]), key
        assert not value.requires_grad
    scorer = learned.scorer(backbone, problem.task)
    logits = scorer.logits(plain.pixels)
    assert logits.shape == (len(plain.pixels), 3)
    assert logits.isfinite().all()
    assert not logits.requires_grad
    # An image is answered for by itself.
    torch.testing.assert_close(scorer.logits(plain.pixels[:1]), logits[:1], atol=1e-4, rtol=0)
    assert scorer.predict(plain.pixels).tolist() == logits.argmax(dim=1).tolist()
    assert 0 <= learned.parameters <= sum(each.numel() for each in learned.tensors.values())
    for key, value in backbone.model.state_dict().items():
        assert torch.equal(value, before[key]), key
