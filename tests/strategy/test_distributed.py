"""A search by two processes on the CPU is that of one with the same batches."""

from functools import partial
from pathlib import Path

import pytest

from dpl_nas.backbone import Backbone
from dpl_nas.observer import Observer
from dpl_nas.space import Space
from dpl_nas.strategy import DARTS
from dpl_nas.tasks import load_task

#: 9 training images in batches of 4, 4 and 1: of the last, one process has nothing.
SETTINGS = {
    "epochs": 4,
    "batch_size": 4,
    "validation_batch_size": 5,
    "warmup_epochs": 1,
    "alphas": {"lr": 0.05},
}


class Killed(BaseException):
    pass


class KillAfter(Observer):
    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def advance(self, stage, done, metrics, status="") -> None:
        if done == self.epochs:
            raise Killed


@pytest.mark.slow
@pytest.mark.parametrize("augmentation", ["none", "crop_flip"])
def test_the_same_alphas(
    small_space: Space,
    small_backbone: Backbone,
    image_folder: Path,
    tmp_path: Path,
    augmentation: str,
) -> None:
    darts = DARTS(**SETTINGS, augmentation=augmentation)
    search = partial(
        darts.search, small_space, load_task(image_folder), shots=6, backbone=small_backbone
    )
    one, two = search(), search(devices=2, folder=tmp_path)
    assert two.architecture == one.architecture
    assert len(one.records) == len(two.records) == SETTINGS["epochs"]
    for alone, together in zip(one.records, two.records, strict=True):
        for label, alphas in alone.alpha.items():
            assert together.alpha[label] == pytest.approx(alphas, abs=1e-5)
        # What the prompts do, too: the supernet's losses before and after each alpha step.
        assert together.train_loss == pytest.approx(alone.train_loss, abs=1e-5)
        assert together.validation_loss == pytest.approx(alone.validation_loss, abs=1e-5)
        assert together.supernet_accuracy == alone.supernet_accuracy
    # One process wrote.
    assert {path.name for path in tmp_path.iterdir()} == {
        "alphas.jsonl",
        "ledger.jsonl",
        "search.state",
        "tensorboard",
    }
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1


@pytest.mark.slow
def test_resume_and_early_stop_agree(
    small_space: Space, small_backbone: Backbone, image_folder: Path, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "epochs": 30, "alphas": {"lr": 1e-6, "init_sd": 1.0}}
    search = partial(
        DARTS(**settings, early_stop={"patience": 3}).search,
        small_space,
        load_task(image_folder),
        shots=6,
        backbone=small_backbone,
        devices=2,
    )
    with pytest.raises(Killed):
        search(folder=tmp_path, observer=KillAfter(2))
    resumed = search(folder=tmp_path)
    assert resumed.stopped_by == "early_stop"
    assert resumed.records == search().records
