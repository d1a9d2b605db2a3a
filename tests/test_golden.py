"""The golden check, on the file kept here and on those beside the repository."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPT = REPOSITORY / "tests" / "golden.py"
SMALL = REPOSITORY / "tests" / "data" / "golden_small.safetensors"
DEEP = REPOSITORY.parent / "shared" / "golden" / "deep.safetensors"


@pytest.fixture(scope="module")
def golden() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules["golden"] = module
    spec.loader.exec_module(module)
    return module


def content() -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(SMALL, framework="pt") as stream:
        return {name: stream.get_tensor(name) for name in stream.keys()}, stream.metadata()  # noqa: SIM118


@pytest.mark.parametrize(
    "path",
    [
        SMALL,
        pytest.param(DEEP, marks=pytest.mark.skipif(not DEEP.exists(), reason="not found")),
    ],
    ids=["small", "deep"],
)
def test_outputs_and_gradients_of_the_published_code(golden: ModuleType, path: Path) -> None:
    result = golden.compare(path)
    assert len(result["errors"]) == 14
    assert all(value <= golden.LIMIT for value in result["errors"].values()), result


def test_the_script(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(SMALL)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    result = json.loads(done.stdout)
    assert result["file"] == str(SMALL)
    assert result["max_error"] == max(result["errors"].values()) <= 2e-5


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("supernet.logits", "supernet.logits"),
        ("supernet.grad.alpha_image", "supernet.grad.alpha_image"),
        ("supernet.grad.context.text.2.3", "supernet.grad.context_text"),
        ("subnet.grad.context.image.1", "subnet.grad.context_image"),
        ("subnet.loss", "subnet.loss"),
    ],
)
def test_a_difference_is_found(
    golden: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, group: str
) -> None:
    tensors, metadata = content()
    tensors[name] = tensors[name] * 1.001
    path = tmp_path / "changed.safetensors"
    save_file(tensors, path, metadata)
    assert golden.main([str(SMALL), str(path)]) == 1
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["max_error"] <= 2e-5
    assert [g for g, value in second["errors"].items() if value > 2e-5] == [group]


def test_a_tower_without_vectors(golden: ModuleType, tmp_path: Path) -> None:
    tensors, metadata = content()
    tensors["subnet.lengths_text"].zero_()
    for name in [
        n for n in tensors if n.startswith(("subnet.context.text", "subnet.grad.context.text"))
    ]:
        del tensors[name]
    path = tmp_path / "plain.safetensors"
    save_file(tensors, path, metadata)
    errors = golden.compare(path)["errors"]
    assert errors["subnet.grad.context_text"] == 0.0
    assert errors["subnet.image_features"] <= 2e-5
    # The expected logits are those with text contexts.
    assert errors["subnet.logits"] > 2e-5


def test_saturated_alphas_are_compared(golden: ModuleType, tmp_path: Path) -> None:
    tensors, metadata = content()
    for tower in ("image", "text"):
        tensors[f"supernet.alpha_{tower}"] = torch.tensor([0.0, 300.0, 0.0, 0.0]).repeat(3, 1)
        tensors[f"supernet.grad.alpha_{tower}"].zero_()
        for layer in range(3):
            for length in (2, 3):
                tensors[f"supernet.grad.context.{tower}.{layer}.{length}"].zero_()
    path = tmp_path / "saturated.safetensors"
    save_file(tensors, path, metadata)
    errors = golden.compare(path)["errors"]
    assert errors["supernet.grad.alpha_image"] == errors["supernet.grad.alpha_text"] == 0.0


def test_the_error_of_a_group(golden: ModuleType) -> None:
    one, zero = torch.ones(2), torch.zeros(2)
    assert golden.error([one * 1.5], [one]) == 0.5
    assert golden.error([one, zero + 1], [one, zero]) == 1.0
    assert golden.error([zero + 0.25], [zero]) == 0.25
    assert golden.error([zero], [zero]) == 0.0
    assert golden.error([], []) == 0.0
    assert golden.error([torch.tensor([2e-45])], [torch.tensor([1e-45])]) < 1e-40
    assert golden.error([one * torch.nan], [one]) == float("inf")
    assert golden.error([one[:1]], [one]) == float("inf")


@pytest.mark.parametrize("damage", ["missing", "truncated", "text", "foreign", "shape"])
def test_unreadable_and_foreign_files(
    golden: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    path = tmp_path / "file.safetensors"
    if damage == "truncated":
        path.write_bytes(SMALL.read_bytes()[:100_000])
    elif damage == "text":
        path.write_text("not a golden file")
    elif damage == "foreign":
        save_file({"weight": torch.zeros(2)}, path)
    elif damage == "shape":
        tensors, metadata = content()
        tensors["clip.ln_final.weight"] = torch.ones(65)
        save_file(tensors, path, metadata)
    assert golden.main([str(path)]) == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert len(captured.err.splitlines()) == 1
    assert str(path) in captured.err


@pytest.mark.parametrize("arguments", [[], [str(SMALL), "--path", "other"]])
def test_unfit_arguments(golden: ModuleType, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        golden.main(arguments)
    assert end.value.code == 2
