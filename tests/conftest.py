"""A small task and a small backbone, real parts both, for tests of whole stages."""

import json
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from open_clip import factory
from PIL import Image

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.config import RunConfig
from dpl_nas.mini.model import build_mini_clip, save_mini_clip
from dpl_nas.mini.vocabulary import used_tokens
from dpl_nas.space import Space

pytest.register_assert_rewrite("dpl_nas.testing")

with warnings.catch_warnings():
    # NNI and Lightning are imported by tests that search; what they warn of is theirs.
    warnings.simplefilter("ignore")
    import nni.nas.strategy

# A shell that starts the tests in the background, or nohup, has its children ignore these, and
# processes that the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

CLASSES = ("dark_square", "grey", "white")
MODEL = "test-small"


def write_images(folder: Path, per_class: int, seed: int) -> None:
    """Noisy squares whose brightness tells their class."""
    generator = np.random.default_rng(seed)
    for index, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            pixels = generator.normal(50 + 75 * index, 25, (36, 32, 3)).clip(0, 255)
            Image.fromarray(pixels.astype("uint8")).save(folder / name / f"{number:03}.png")


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder / "train", 10, seed=0)
    write_images(folder / "test", 20, seed=1)
    (folder / "task.yml").write_text("template: a photo of a {} thing.\naugmentation: none\n")
    return folder


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of an open_clip model of 3 + 2 layers, registered while the tests run."""
    file = tmp_path_factory.mktemp("models") / f"{MODEL}.json"
    vision = {"layers": 3, "width": 32, "head_width": 8, "patch_size": 8, "image_size": 24}
    text = {"layers": 2, "width": 16, "heads": 2, "context_length": 20, "vocab_size": 49408}
    file.write_text(json.dumps({"embed_dim": 12, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(file)
    yield MODEL
    factory._MODEL_CONFIG_PATHS.remove(file)
    del factory._MODEL_CONFIGS[MODEL]


@pytest.fixture(scope="session")
def small_space(small_model: str) -> Space:
    return Space.model_validate(
        {
            "name": "small",
            "backbone": {"model": small_model, "pretrained": "random"},
            "towers": {
                "image": {"layers": [0, 2], "lengths": [0, 2, 4]},
                "text": {"layers": [0, 1], "lengths": "0-2"},
            },
        }
    )


@pytest.fixture(scope="session")
def small_backbone(small_space: Space) -> Backbone:
    return load_backbone(small_space.backbone)


@pytest.fixture(scope="session")
def mini_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights for the embedded CLIP: the same paths, known everywhere."""
    path = tmp_path_factory.mktemp("weights") / "mini.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_mini_clip(vocabulary_size=len(used_tokens()))
    save_mini_clip(path, model.state_dict())
    return path


@pytest.fixture
def run_config(small_space: Space, image_folder: Path) -> RunConfig:
    return RunConfig.model_validate(
        {
            "task": str(image_folder),
            "space": small_space.model_dump(mode="json"),
            "strategy": {
                "name": "quick",
                "strategy": "darts",
                "search": {"epochs": 4, "batch_size": 6, "alphas": {"lr": 0.1}},
                "train": {"epochs": 3, "batch_size": 6},
            },
            "shots": 6,
            "seed": 3,
        }
    )


__all__ = ["nni"]
