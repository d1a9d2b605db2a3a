"""What every method promises, on a CLIP of three and two layers."""

from pathlib import Path
from typing import Any

import pytest

from dpl_nas.backbone import Backbone
from dpl_nas.methods import METHODS, Method, make_method
from dpl_nas.tasks import load_task
from dpl_nas.testing import Bench, MethodConformance


def conforming(name: str) -> type[MethodConformance]:
    class Conforming(MethodConformance):
        def make(self, **settings: Any) -> Method:
            # The small CLIP has no room for sixteen.
            own = {"length": 4} if name == "coop" else {}
            return make_method(name, **own, **settings)

        @pytest.fixture
        def bench(self, small_backbone: Backbone, image_folder: Path) -> Bench:  # type: ignore[override]
            return Bench(load_task(image_folder), small_backbone)

    return Conforming


for _name in METHODS:
    _title = "Test" + "".join(part.title() for part in _name.replace("+", "-").split("-"))
    globals()[_title] = type(_title, (conforming(_name),), {})


def test_every_method_is_tested() -> None:
    tested = [each for each in globals() if each.startswith("Test")]
    assert len(tested) == len(METHODS)


def test_the_kit_is_to_be_completed() -> None:
    with pytest.raises(NotImplementedError):
        MethodConformance().make()
