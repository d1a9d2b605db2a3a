"""What a backward pass may keep."""

from types import SimpleNamespace

import pytest
import torch

from dpl_nas.backbone.memory import kept_bytes


def test_a_gpu_gives_a_part_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept_bytes(torch.device("cpu")) == 2**30

    def properties(device: torch.device) -> SimpleNamespace:
        return SimpleNamespace(total_memory={0: 8 * 2**30, 1: 80 * 2**30}[device.index])

    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    assert kept_bytes(torch.device("cuda:0")) == 2**30
    assert kept_bytes(torch.device("cuda:1")) == 10 * 2**30
