import pytest
import torch

from dpl_nas.errors import ConfigError, DplWarning
from dpl_nas.tasks import Task
from tests.methods.tiny import backbone_of, tower_method


def test_tokens_start_as_words_as_far_as_they_go() -> None:
    backbone = backbone_of(torch.float32)
    words = backbone.tokenize(["a photo of a"])[0, 1:5]
    table = backbone.text.token_table
    for length in (2, 4, 6):
        first = tower_method("ivlp", length=length).model(backbone, 1).state_dict()["tokens.text.0"]
        known = min(length, 4)
        assert torch.equal(first[:known], table[words[:known]])
        assert bool((first[4:] != 0).all())


def test_names_without_room_are_told(task: Task) -> None:
    backbone = backbone_of(torch.float32)
    method = tower_method("coop", length=16)
    with pytest.warns(DplWarning, match="no room for 16 tokens before the whole names"):
        text = method.captions(backbone, task)
    # The end of the text is still read.
    assert text.pooling.argmax(dim=1).tolist() == [19] * 3
    with pytest.raises(ConfigError, match="has room for 17 learned tokens before a class name"):
        tower_method("coop", length=18).model(backbone, 1)
