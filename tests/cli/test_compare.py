import pytest

from dpl_nas.cli.compare import _configs
from dpl_nas.config import RunConfig
from dpl_nas.errors import ConfigError


def configs(*overrides: str) -> dict[str, RunConfig]:
    made = _configs(
        ["mini/digits"], ["mini_clip"], ["darts", "random"], [1], overrides, None, shots=4
    )
    return {config.strategy.name: config for config in made}


def test_a_setting_of_one_strategy() -> None:
    made = configs("darts.search.epochs=15", "train.epochs=3", "random.train.epochs=4")
    assert made["darts"].strategy.model_dump()["search"]["epochs"] == 15
    assert [config.strategy.train.epochs for config in made.values()] == [3, 4]
    # Its own setting wins, wherever it stands.
    made = configs("random.train.epochs=4", "train.epochs=3")
    assert [config.strategy.train.epochs for config in made.values()] == [3, 4]


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
