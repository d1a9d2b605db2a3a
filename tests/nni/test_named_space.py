import nni
import pytest
from nni.nas.evaluator import FunctionalEvaluator
from nni.nas.space import SimplifiedModelSpace

from dpl_nas.errors import SpaceError
from dpl_nas.nni.named_space import NamedPromptSpace

#: What NNI's default engine sends of a trial.
LIMIT = 64 * 1024


def accuracy(model: NamedPromptSpace) -> float:
    return float(len(model.clip.contexts))


def test_what_nni_sends_is_small_and_complete() -> None:
    space = NamedPromptSpace(space="mini_clip_budget6", seed=3)
    drawn = SimplifiedModelSpace.from_model(space, FunctionalEvaluator(accuracy)).random()
    text = nni.dump(drawn)
    assert len(text) < LIMIT
    back = nni.load(text)
    assert back.sample == drawn.sample
    assert sum(int(length) for length in back.sample.values()) <= 6
    model = back.executable_model()
    lengths = {
        f"{tower}/{layer}": str(context.length)
        for tower, layers in model.clip.contexts.items()
        for layer, context in layers.items()
    }
    assert lengths.items() <= back.sample.items()


def test_no_such_space() -> None:
    with pytest.raises(SpaceError, match="unknown space 'mini_clpi'"):
        NamedPromptSpace(space="mini_clpi")
