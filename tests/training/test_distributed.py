"""Two processes on the CPU share every batch, and learn what one process learns."""

import importlib
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch

from dpl_nas.backbone import Backbone
from dpl_nas.config import TrainSettings
from dpl_nas.errors import ConfigError, TaskError
from dpl_nas.observer import Observer
from dpl_nas.space import Space
from dpl_nas.tasks import Task, load_task
from dpl_nas.training import train
from dpl_nas.training.distributed import Ranks, check_devices, on_devices

#: 12 images in batches of 5, 5 and 2, of which two processes have unequal parts.
SETTINGS = {"epochs": 3, "batch_size": 5}


@pytest.fixture
def task(image_folder: Path) -> Task:
    return load_task(image_folder)


class Recorder(Observer):
    def __init__(self) -> None:
        self.losses: list[float] = []
        self.accuracies: list[float] = []

    def advance(self, stage, done, metrics, status="") -> None:
        self.losses.append(metrics["loss"])
        self.accuracies.append(metrics["train_accuracy"])


@pytest.mark.parametrize("count", [1, 2, 5, 16])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_parts_are_the_batch(count: int, size: int) -> None:
    values = torch.arange(1.0, count + 1)
    ranks = [Ranks(rank, size) for rank in range(size)]
    seen = [each for one in ranks if one.weight(count) for each in values[one.part(count)].tolist()]
    assert seen == values.tolist()
    mean = sum(values[one.part(count)].mean() * one.weight(count) for one in ranks)
    assert mean == pytest.approx(values.mean())
    assert [one.first for one in ranks] == [True] + [False] * (size - 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{}, {"augmentation": "crop_flip", "distillation": {"weight": 1.0}}],
    ids=["plain", "augmented and distilled"],
)
def test_the_same_prompts(
    small_space: Space, small_backbone: Backbone, task: Task, settings: dict[str, object]
) -> None:
    alone, together = Recorder(), Recorder()
    learn = partial(
        train,
        small_space.uniform(2),
        small_space,
        task,
        shots=4,
        settings=TrainSettings.model_validate({**SETTINGS, **settings}),
        backbone=small_backbone,
    )
    one = learn(observer=alone).vectors
    two = learn(observer=together, devices=2).vectors
    assert one.keys() == two.keys()
    for name, vectors in one.items():
        torch.testing.assert_close(two[name], vectors, rtol=0, atol=1e-5)
    assert together.losses == pytest.approx(alone.losses, abs=1e-5)
    assert together.accuracies == alone.accuracies


class Killed(BaseException):
    pass


class KillAfter(Observer):
    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def advance(self, stage, done, metrics, status="") -> None:
        if done == self.epochs:
            raise Killed


@pytest.mark.slow
def test_resume_is_exact(
    small_space: Space, small_backbone: Backbone, task: Task, tmp_path: Path
) -> None:
    learn = partial(
        train,
        small_space.uniform(2),
        small_space,
        task,
        shots=4,
        settings=TrainSettings.model_validate(SETTINGS),
        backbone=small_backbone,
        devices=2,
    )
    whole = learn()
    state = tmp_path / "train.state"
    with pytest.raises(Killed):
        learn(state=state, observer=KillAfter(2))
    resumed = learn(state=state)
    for name, vectors in whole.vectors.items():
        assert torch.equal(resumed.vectors[name], vectors)
    assert [path.name for path in tmp_path.iterdir()] == [state.name]


@pytest.mark.slow
def test_trouble_of_all_is_told_once(
    small_space: Space, small_backbone: Backbone, task: Task
) -> None:
    settings = TrainSettings.model_validate(
        {**SETTINGS, "distillation": {"weight": 1.0, "temperature": 1e-40}}
    )
    with pytest.raises(ConfigError, match="became nan in epoch 0"):
        train(
            small_space.uniform(2),
            small_space,
            task,
            shots=4,
            settings=settings,
            backbone=small_backbone,
            devices=2,
        )


@pytest.fixture
def shared_work(monkeypatch: pytest.MonkeyPatch):
    """The module under a name by which other processes find it, too."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("shared_work")


@pytest.mark.slow
def test_trouble_of_another_process_is_told(small_backbone: Backbone, shared_work) -> None:
    # multiprocessing keeps one of its own, once it was used.
    before = psutil.Process().children()
    with pytest.raises(TaskError, match="no such image"):
        on_devices(2, partial(shared_work.fails, TaskError("no such image")), small_backbone)
    with pytest.raises(RuntimeError, match=r"(?s)process 1 of 2 ended with code 1.*KeyError: 'x'"):
        on_devices(2, partial(shared_work.fails, KeyError("x")), small_backbone)
    with pytest.raises(RuntimeError, match="process 1 of 2 ended with code 9: it printed nothing"):
        on_devices(2, shared_work.dies, small_backbone)
    # And the next job finds nothing of it.
    assert not torch.distributed.is_initialized()
    assert psutil.Process().children() == before


def test_what_cannot_be_copied(small_backbone: Backbone) -> None:
    with pytest.raises(ConfigError, match="that pickle can copy to other processes"):
        on_devices(2, lambda: None, small_backbone)


@pytest.mark.slow
def test_others_end_with_the_first(
    small_space: Space, small_backbone: Backbone, task: Task, tmp_path: Path
) -> None:
    """Even after kill -9: sums without it fail."""
    job = tmp_path / "job.pt"
    torch.save((small_space.uniform(2), small_space, task, small_backbone), job)
    program = (
        "import torch, dpl_nas\n"
        "from dpl_nas.observer import Observer\n"
        "from dpl_nas.config import TrainSettings\n"
        "class Tell(Observer):\n"
        "    def advance(self, *_):\n"
        "        print('step', flush=True)\n"
        f"lengths, space, task, backbone = torch.load({str(job)!r}, weights_only=False)\n"
        "dpl_nas.train(lengths, space, task, shots=4, backbone=backbone, devices=2,\n"
        "    settings=TrainSettings(epochs=10**6), observer=Tell())\n"
    )
    first = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert first.stdout is not None
    with first.stdout as told:
        assert told.readline() == b"step\n"
        (helper,) = psutil.Process(first.pid).children()
        folder = Path(helper.cmdline()[-2])
        assert folder.is_dir()
        first.kill()
        first.wait()
    helper.wait(timeout=30)
    assert not folder.exists()


def test_fewer_gpus_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_devices(2, torch.device("cuda"))
    check_devices(1, torch.device("cuda:1"))
    check_devices(3, torch.device("cpu"))
    with pytest.raises(ConfigError, match="expected 3 GPUs for devices=3, found 2: lower devices"):
        check_devices(3, torch.device("cuda:0"))
    with pytest.raises(ConfigError, match="found device cuda:1: set device to cuda"):
        check_devices(2, torch.device("cuda:1"))
