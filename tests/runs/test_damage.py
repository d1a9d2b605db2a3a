import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dpl_nas import runs
from dpl_nas.config import RunConfig
from dpl_nas.errors import CheckpointError
from dpl_nas.space import Space


@pytest.fixture(scope="module")
def whole(small_space: Space, tmp_path_factory: pytest.TempPathFactory) -> Path:
    del small_space  # Its backbone is known while the tests run.
    return tmp_path_factory.mktemp("whole") / "run"


@pytest.fixture
def config(run_config: RunConfig) -> RunConfig:
    """A run with all files: under limits the manual design has a search of its own."""
    space = run_config.space.model_copy(update={"max_context_vectors": 6})
    strategy = run_config.strategy.model_copy(
        update={"search": run_config.strategy.search.model_copy(update={"shortlist": 2})}
    )
    return run_config.model_copy(update={"space": space, "strategy": strategy})


@pytest.fixture
def folder(config: RunConfig, whole: Path, tmp_path: Path) -> Path:
    """A complete run."""
    if not whole.exists():
        runs.run(config, whole)
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def flip(content: bytes) -> bytes:
    place = content.rindex(b"0")
    return content[:place] + b"1" + content[place + 1 :]


def cut(content: bytes) -> bytes:
    # Half a line at the end of a ledger is no damage.
    place = len(content) // 4
    return content[:place] + content[place + 40 :]


@pytest.mark.parametrize("damage", [flip, cut])
@pytest.mark.parametrize(
    ("name", "removed"),
    [
        ("architecture.json", ["architecture.json", "result.json"]),
        ("evaluations.json", ["evaluations.json", "architecture.json", "result.json"]),
        ("prompts.safetensors", ["prompts.safetensors", "result.json"]),
        ("search.json", ["search.json", "architecture.json", "result.json"]),
        ("manual/architecture.json", ["manual/architecture.json", "result.json"]),
        (
            "manual/evaluations.json",
            ["manual/evaluations.json", "manual/architecture.json", "result.json"],
        ),
        ("manual/prompts.safetensors", ["manual/prompts.safetensors", "result.json"]),
        ("ledger.jsonl", []),
        ("manual/ledger.jsonl", []),
        ("alphas.jsonl", []),
    ],
)
def test_damage_to_a_complete_run_is_named(
    config: RunConfig,
    folder: Path,
    damage: Callable[[bytes], bytes],
    name: str,
    removed: list[str],
) -> None:
    result = runs.run(config, folder, resume=True)
    before = (folder / name).read_bytes()
    (folder / name).write_bytes(damage(before))
    with pytest.raises(CheckpointError, match=name) as error:
        runs.run(config, folder, resume=True)
    text = str(error.value)
    assert all(Path(each).name in text for each in removed)
    if not removed or damage is cut:
        return
    # What it says to do helps.
    for each in removed:
        (folder / each).unlink()
    again = runs.run(config, folder, resume=True)
    assert again.test == result.test
    if "prompts" in name:
        assert (folder / name).read_bytes() == before


def test_a_complete_search_is_looked_at(config: RunConfig, folder: Path) -> None:
    (folder / "result.json").unlink()
    (folder / "evaluations.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"evaluations\.json .*beside it to make both again$"):
        runs.search(config, folder, resume=True)
