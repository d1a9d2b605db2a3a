import pytest

from dpl_nas.cli.compare import _Axes, _configs
from dpl_nas.config import RunConfig
from dpl_nas.errors import ConfigError


def configs(*overrides: str) -> dict[str, RunConfig]:
    axes = _Axes(["mini/digits"], ["mini_clip"], ["darts", "random"], [None], [1])
    made = _configs(axes, overrides, None, shots=4)
    return {config.strategy.name: config for config in made}


def test_a_setting_of_one_strategy() -> None:
    made = configs("darts.search.epochs=15", "train.epochs=3", "random.train.epochs=4")
    assert made["darts"].strategy.model_dump()["search"]["epochs"] == 15
    assert [config.strategy.train.epochs for config in made.values()] == [3, 4]
    # Its own setting wins, wherever it stands.
    made = configs("random.train.epochs=4", "train.epochs=3")
    assert [config.strategy.train.epochs for config in made.values()] == [3, 4]


def test_every_method_has_every_strategy_and_its_own_settings() -> None:
    axes = _Axes(["mini/digits"], ["mini_clip"], ["grid", "random"], ["dpl", "dpl+maple"], [1])
    made = _configs(axes, ["dpl+maple.length=3", "train.epochs=2", "grid.train.epochs=5"], None)
    found = [
        (each.method and each.method.name, each.strategy.name, each.strategy.train.epochs)
        for each in made
    ]
    assert found == [
        ("dpl", "grid", 5),
        ("dpl", "random", 2),
        ("dpl+maple", "grid", 5),
        ("dpl+maple", "random", 2),
    ]
    assert [each.method.settings for each in made if each.method] == [{}, {}, *2 * [{"length": 3}]]
    assert [list(each.space.towers) for each in made][1:3] == [["image", "text"], ["text"]]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("search.epochs=15", "a setting for this strategy alone is random.KEY=VALUE"),
        ("darts.search.epoch=15", "did you mean search.epochs?"),
        ("drats.search.epochs=15", "unknown setting drats"),
        ("darts.=15", "expected KEY=VALUE"),
    ],
)
def test_settings_that_are_refused(setting: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        configs(setting)
    assert told in str(refused.value)
