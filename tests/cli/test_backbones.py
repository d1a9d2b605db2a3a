"""``dpl-nas backbones``: every model, and where it can be searched."""

from typing import Any

import pytest


@pytest.mark.slow
def test_all_models_are_listed(call: Any) -> None:
    found = call("backbones", "--json", "--quiet")
    assert found.code == 0
    by_name = {each["name"]: each for each in found.json}
    assert by_name["ViT-B-16-SigLIP2"]["searchable"] == ["image", "text"]
    assert by_name["RN50"]["searchable"] == ["text"]
    assert "ModifiedResNet" in by_name["RN50"]["towers"]["image"]["reason"]
    assert by_name["mini-clip"]["towers"]["text"]["layers"] == 12
    assert by_name["mini-vit"]["searchable"] == ["image"]
    assert by_name["mini-lm"]["searchable"] == ["text"]
    assert len(by_name) > 146
