import pytest

from dpl_nas.backbone import load_backbone
from dpl_nas.config import TrainSettings
from dpl_nas.engine import TrialSettings
from dpl_nas.testing import Bench, small_space, task_of
from dpl_nas.training.problem import Problem


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    task = task_of(tmp_path_factory.mktemp("squares"))
    return Bench(task, load_backbone(small_space().backbone))


@pytest.fixture
def trial_settings(bench: Bench) -> TrialSettings:
    """Two steps an epoch, three epochs."""
    problem = Problem.of(
        small_space(),
        bench.task,
        shots=4,
        recipe=TrainSettings(epochs=3, batch_size=2),
        backbone=bench.backbone,
    )
    return TrialSettings(problem)
