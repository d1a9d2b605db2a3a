import pytest

from dpl_nas.errors import ExperimentError
from dpl_nas.experiments.command import command_options, trial_config


def test_a_command_and_its_configuration() -> None:
    options = command_options(
        "OMP_NUM_THREADS=1 python -m dpl_nas.experiments.trial --space mini_clip_budget6 --shots 4 "
        "--strategy evolution train.epochs=3 'train.optimizer={name: adam, lr: 0.5}'"
    )
    config = trial_config(options, {"seed": 7, "train.batch_size": 5})
    assert (config.task, config.space.name, config.shots, config.seed) == (
        *("mini/digits", "mini_clip_budget6", 4, 7),
    )
    train = config.strategy.train
    assert (train.epochs, train.batch_size, train.optimizer.lr) == (3, 5, 0.5)


@pytest.mark.parametrize(
    "command",
    [
        'python -m dpl_nas.experiments.trial --seed 3 & trap "kill $!; kill -9 $$" INT; wait $!',
        "cd x && python -m dpl_nas.experiments.trial --seed 3|cat",
        "python -m dpl_nas.experiments.trial --seed 3 > log.txt",
    ],
)
def test_a_line_of_a_shell(command: str) -> None:
    options = command_options(command)
    assert (options.seed, options.overrides) == (3, [])


@pytest.mark.parametrize("command", ["python train.py --lr 0.1", "", "python 'open"])
def test_not_ours(command: str) -> None:
    with pytest.raises(
        ExperimentError, match=r"expected trials that run python -m dpl_nas\.experiments\.trial"
    ):
        command_options(command)


def test_not_valid() -> None:
    with pytest.raises(ExperimentError, match="not valid: unrecognized arguments: --sed"):
        command_options("python -m dpl_nas.experiments.trial --sed 3")
