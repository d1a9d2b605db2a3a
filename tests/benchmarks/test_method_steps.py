"""``python -m benchmarks.step --methods``: both sides of a step compute the same."""

import json

import pytest
import torch

from benchmarks import step
from benchmarks.method_steps import MethodStep
from benchmarks.plain_towers import PLAIN
from benchmarks.workload import backbone_of


@pytest.mark.parametrize("name", PLAIN)
def test_both_sides_have_the_same_loss_and_gradients(name: str) -> None:
    pair = MethodStep(name, backbone_of("mini_clip"), classes=3, images=2)
    torch.testing.assert_close(pair.ours(), pair.published(), atol=2e-5, rtol=2e-5)
    for key, value in pair.learned.items():
        ours, plain = value
        assert ours is not None, key
        largest = max(float(plain.abs().max()), 1e-6)
        torch.testing.assert_close(ours / largest, plain / largest, atol=5e-4, rtol=0)


def test_rows_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--model", "mini_clip", "--classes", "2", "--repeats", "1"]
    step.main(["--methods", "vpt", *options, "--json"])
    (row,) = json.loads(capsys.readouterr().out)["methods"]
    assert row["method"] == "vpt"
    assert row["ratio"] == pytest.approx(row["published_s"] / row["ours_s"])
    step.main(["--methods", "vpt", *options])
    assert "vpt" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        step.main(["--methods", "vtp"])
