"""Files of weights from others: read whole where they are whole, and never run."""

import io
import os
import pickle
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dpl_nas.backbone.checkpoint import read_weights
from dpl_nas.errors import CheckpointError

WEIGHTS = {
    "half": torch.arange(6, dtype=torch.float16).reshape(2, 3),
    "turned": torch.arange(6.0).reshape(2, 3).T,
    "scalar": torch.tensor(7),
    "brain": torch.ones(3, dtype=torch.bfloat16),
    "empty": torch.zeros(0, 2),
}

jit_is_deprecated = pytest.mark.filterwarnings("ignore:`torch.jit.*is deprecated:FutureWarning")


def assert_read(path: Path) -> None:
    found = read_weights(path).tensors
    assert found.keys() == WEIGHTS.keys()
    for name, tensor in WEIGHTS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


@pytest.mark.parametrize(
    "beside",
    [
        {},
        {"epoch": 3, "name": "run", "best": 0.5, "none": None, "ok": True},
        {"best": np.float64(0.3), "steps": np.int64(3), "flag": np.bool_(True)},
        {"curve": np.zeros((2, 3)), "names": np.array(["a"]), "objects": np.array([None, {}])},
        {"kinds": [np.dtype("f4"), torch.float32, torch.device("cpu"), torch.Size([1])]},
        {"sets": {1, 2}, "more": frozenset({3}), "counts": defaultdict(list, a=[1]), "c": 1j},
        {"optimizer": torch.optim.Adam([torch.zeros(2, requires_grad=True)]).state_dict()},
        {"path": Path("a/b"), "parameter": torch.nn.Parameter(torch.zeros(2))},
    ],
)
def test_whole_checkpoints_of_trainings(tmp_path: Path, beside: dict[str, Any]) -> None:
    path = tmp_path / "epoch.pt"
    torch.save({"state_dict": OrderedDict(WEIGHTS), **beside}, path)
    assert_read(path)


def test_parameters_and_versions(tmp_path: Path) -> None:
    linear = torch.nn.Linear(2, 2)
    torch.save(linear.state_dict(), tmp_path / "state.pt")
    torch.save(dict(linear.named_parameters()), tmp_path / "parameters.pt")
    for name in ("state.pt", "parameters.pt"):
        found = read_weights(tmp_path / name).tensors
        assert torch.equal(found["weight"], linear.weight)


def test_files_from_before_there_were_archives(tmp_path: Path) -> None:
    torch.save(WEIGHTS, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert_read(tmp_path / "old.pt")


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize(
    "function", [os.system, eval, exec, __import__, getattr, torch.load, np.load, pickle.loads]
)
@pytest.mark.parametrize("archive", [True, False])
def test_no_code_is_run(tmp_path: Path, function: Any, archive: bool) -> None:
    path, mark = tmp_path / "weights.pt", tmp_path / "mark"
    arguments = {
        os.system: (f"touch {mark}",),
        eval: (f"open({str(mark)!r}, 'w')",),
        exec: (f"open({str(mark)!r}, 'w')",),
    }.get(function, ("os",))
    torch.save(
        {"state_dict": WEIGHTS, "more": Payload(function, *arguments)},
        path,
        _use_new_zipfile_serialization=archive,
    )
    if archive and function is np.load:
        # All of NumPy is passed over.
        assert_read(path)
    else:
        with pytest.raises(CheckpointError) as caught:
            read_weights(path)
        assert "\n" not in str(caught.value)
        assert not archive or "which dpl_nas does not read: save only the state_dict" in str(
            caught.value
        )
    assert not mark.exists()


@jit_is_deprecated
def test_torchscript_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Evil(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.zeros(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.w

        @torch.jit.export
        def __getstate__(self):
            return (torch.zeros(2), True)

        @torch.jit.export
        def __setstate__(self, state: tuple[torch.Tensor, bool]):
            self.training = state[1]
            self.w = torch.zeros(3)
            torch.save(state[0], "MARK")

    monkeypatch.chdir(tmp_path)
    torch.jit.save(torch.jit.script(Evil()), "weights.pt")
    (tmp_path / "MARK").unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match="a module with its own code for loading"):
        read_weights(tmp_path / "weights.pt")
    assert not (tmp_path / "MARK").exists()


@jit_is_deprecated
def test_of_torchscript_only_weights_are_read(tmp_path: Path) -> None:
    class Inner(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(2, 2)
            self.mask = torch.zeros(4)
            self.sizes = [1, 2]
            self.register_buffer("buffer", torch.ones(3, dtype=torch.float16))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x) + self.mask[0] + self.sizes[0]

    class Outer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = torch.nn.Sequential(Inner(), Inner())
            self.scale = torch.nn.Parameter(torch.tensor(0.5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.blocks(x) * self.scale

    path = tmp_path / "scripted.pt"
    scripted = torch.jit.script(Outer())
    torch.jit.save(scripted, path)
    expected = scripted.state_dict()
    found = read_weights(path).tensors
    assert found.keys() == expected.keys()
    assert "blocks.0.mask" not in found
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_flipped_bits_in_weights_do_not_go_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"a": torch.full((64,), 0.04)}, path)
    whole = path.read_bytes()
    place = whole.find(torch.full((8,), 0.04).numpy().tobytes())
    path.write_bytes(whole[: place + 3] + b"\x7d" + whole[place + 4 :])
    with pytest.raises(CheckpointError, match="truncated or not a file of weights"):
        read_weights(path)


def rewritten(path: Path, pickled: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    """An archive with another pickle; storage 0 has 4 numbers."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/data/0", b"\0" * 16)


def tensor(offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    class Tensor:
        def __reduce__(self) -> Any:
            return torch._utils._rebuild_tensor_v2, (
                "storage of 0",
                offset,
                size,
                stride,
                False,
                OrderedDict(),
            )

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            known = value == "storage of 0" if isinstance(value, str) else False
            return ("storage", torch.FloatStorage, "0", "cpu", 4) if known else None

    stream = io.BytesIO()
    Pickler(stream, 2).dump({"a": Tensor()})
    return stream.getvalue()


def test_tensors_end_with_their_storage(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    rewritten(path, tensor(0, (2, 2), (2, 1)))
    assert torch.equal(read_weights(path).tensors["a"], torch.zeros(2, 2))
    for wrong in (
        (1, (4,), (1,)),
        (0, (5,), (1,)),
        (0, (2, 2), (3, 1)),
        (-1, (1,), (1,)),
        (9, (1,), (1,)),
    ):
        rewritten(path, tensor(*wrong))
        with pytest.raises(CheckpointError, match="truncated or not a file of weights"):
            read_weights(path)
    # A few bytes that become very many.
    rewritten(path, tensor(0, (2, 2), (2, 1)), zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="truncated or not a file of weights"):
        read_weights(path)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(CheckpointError, match="is a pipe or a device"):
        read_weights(tmp_path / "pipe.pt")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_weights(tmp_path)
