import pytest

from dpl_nas.backbone import load_backbone
from dpl_nas.testing import Bench, small_space, task_of


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    task = task_of(tmp_path_factory.mktemp("squares"))
    return Bench(task, load_backbone(small_space().backbone))
