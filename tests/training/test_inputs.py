"""Layers that are run once give the training that runs them every time."""

from collections.abc import Iterator

import pytest
import torch

import dpl_nas
from dpl_nas.config import TrainSettings
from dpl_nas.training import inputs


@pytest.fixture
def no_memory() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "_KEPT_BYTES", 0)
        yield patch


LENGTHS = {
    "text only": ({}, {3: 2}),
    "late image": ({7: 2}, {0: 1}),
    "image only": ({11: 3}, {}),
    "from the first": ({0: 1}, {}),
}


@pytest.mark.parametrize("where", LENGTHS)
@pytest.mark.parametrize("distillation", [0.0, 1.0])
def test_constant_states_train_the_same_prompts(
    no_memory: pytest.MonkeyPatch, where: str, distillation: float
) -> None:
    space, task = dpl_nas.load_space("mini_clip"), dpl_nas.load_task("mini/digits")
    image, text = LENGTHS[where]
    architecture = space.architecture(
        {
            **{f"image/{layer}": image.get(layer, 0) for layer in range(12)},
            **{f"text/{layer}": text.get(layer, 0) for layer in range(12)},
        }
    )
    settings = TrainSettings(epochs=2, distillation={"weight": distillation})
    trained = []
    for kept in (0, 1 << 30):
        no_memory.setattr(inputs, "_KEPT_BYTES", kept)
        prompts = dpl_nas.train(architecture, space, task, shots=2, settings=settings)
        trained.append(prompts.vectors)
    assert trained[0].keys() == trained[1].keys()
    for name, vectors in trained[0].items():
        torch.testing.assert_close(trained[1][name], vectors, rtol=1e-3, atol=1e-5)
