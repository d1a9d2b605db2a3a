"""What stands beside the strategies of a comparison."""

import pytest

from dpl_nas.comparison.references import references_beside
from dpl_nas.config import resolve


@pytest.mark.parametrize(
    ("space", "plain"),
    [
        ("mini_clip", ["zero-shot"]),
        ("mini_lm", ["zero-shot"]),
        ("mini_vit", ["class means", "linear probe"]),
    ],
)
def test_the_plain_backbone_stands_beside_them(space: str, plain: list[str]) -> None:
    config = resolve("mini/digits", space, "random")
    found = references_beside(config, 4)
    assert [each.name for each in found if each.kind == "plain"] == plain
    assert [each.name for each in found if each.kind == "uniform"] == ["4 everywhere"]
