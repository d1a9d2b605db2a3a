import pytest
import torch

from dpl_nas.errors import ConfigError
from dpl_nas.methods.depths import lengths_at, lengths_of
from dpl_nas.space import Space
from tests.methods.tiny import backbone_of, tower_method


def test_published_lengths_end_with_the_tower() -> None:
    backbone = backbone_of(torch.float32)
    found = lengths_at(backbone, None, {"image": (4, 2), "text": (1, 9)})
    assert found == {"image": {0: 4, 1: 4}, "text": {0: 1, 1: 1}}


def test_an_architecture_is_lengths_too(small_space: Space) -> None:
    architecture = small_space.uniform(2)
    # Layers 0 and 2 of the image tower are searched.
    assert lengths_of(architecture) == {"image": (2, 0, 2), "text": (2, 2)}
    backbone = backbone_of(torch.float32)
    found = lengths_at(backbone, lengths_of(architecture), {})
    assert found == {"image": {0: 2, 2: 2}, "text": {0: 2, 1: 2}}
    assert lengths_at(backbone, lengths_of(small_space.uniform(0)), {}) == {}


def test_layers_that_are_not_there_are_refused() -> None:
    backbone = backbone_of(torch.float32)
    for name in ("ivlp", "clip-lora", "dpl"):
        with pytest.raises(ConfigError, match="text/2, but the text tower of tiny has 2 layers"):
            tower_method(name, lengths={"text": (1, 1, 1)}).model(backbone, 1)
    with pytest.raises(ConfigError, match="coupled towers have the same lengths"):
        tower_method("dpl+maple", lengths={"text": (1,), "image": (2,)}).model(backbone, 1)
