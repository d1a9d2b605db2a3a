"""The whole road on a real architecture: a randomly initialised ViT-B/32, a folder of images."""

from pathlib import Path

import pytest

from dpl_nas import runs
from dpl_nas.config import RunConfig


@pytest.mark.slow
def test_search_training_and_evaluation(image_folder: Path, tmp_path: Path) -> None:
    config = RunConfig.model_validate(
        {
            "task": str(image_folder),
            "space": {
                "name": "b32",
                "backbone": {"model": "ViT-B-32", "pretrained": "random"},
                "towers": {
                    "image": {"layers": [6, 11], "lengths": [0, 2]},
                    "text": {"layers": [0, 11], "lengths": [0, 1, 2]},
                },
            },
            "strategy": {
                "name": "brief",
                "strategy": "darts",
                "search": {"epochs": 2, "batch_size": 3, "validation_batch_size": 3},
                "train": {"epochs": 1, "batch_size": 6},
            },
            "shots": 2,
        }
    )
    result = runs.run(config, tmp_path / "run")
    assert {tower: len(lengths) for tower, lengths in result.lengths.items()} == {
        "image": 2,
        "text": 2,
    }
    assert all(part.images == 60 for part in result.test.values())
    assert result.test["manual"].lengths == {"image": (2, 2), "text": (2, 2)}
