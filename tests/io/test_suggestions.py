import pytest

from dpl_nas.config import resolve
from dpl_nas.errors import ConfigError


@pytest.mark.parametrize(
    ("strategy", "setting", "told"),
    [
        ("darts", "search.epoch=3", "unknown setting search.epoch: did you mean search.epochs?"),
        ("darts", "train.optimizer.lrr=3", "train.optimizer.lrr: did you mean train.optimizer.lr?"),
        ("darts", "space.towers.image.layer=3", "did you mean space.towers.image.layers?"),
        ("darts", "shot=3", "unknown setting shot: did you mean shots?"),
    ],
)
def test_a_close_name_is_suggested(strategy: str, setting: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        resolve("mini/digits", "mini_clip", strategy, [setting])
    assert told in str(refused.value)


@pytest.mark.parametrize("setting", ["search.epoch=3", "search.qqq=3"])
def test_no_name_that_would_not_do_either(setting: str) -> None:
    # Random search knows no epochs, though another strategy does.
    with pytest.raises(ConfigError, match="unknown setting") as refused:
        resolve("mini/digits", "mini_clip", "random", [setting])
    assert "did you mean" not in str(refused.value)
