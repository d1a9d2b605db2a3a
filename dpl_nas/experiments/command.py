"""The command line of a trial, and the configuration that it stands for."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from dpl_nas.config import RunConfig, resolve, without_replaced
from dpl_nas.errors import ExperimentError

__all__ = ["command_options", "trial_config", "trial_options"]

MODULE = "dpl_nas.experiments.trial"
_NAMED = ("task", "space", "strategy", "shots", "seed", "device")


def trial_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the options of ``python -m dpl_nas.experiments.trial``, by default this process's."""
    return _fill(argparse.ArgumentParser, arguments)


def trial_config(options: argparse.Namespace, parameters: Mapping[str, Any]) -> RunConfig:
    """The configuration of a trial: its options, which NNI's parameters override.

    Raises
    ------
    SpaceError, StrategyError
        If the space or the strategy cannot be loaded.
    ConfigError
        If a setting is malformed, unknown, or its value is not valid.
    """
    rest = dict(parameters)
    named = {
        name: rest.pop(name, getattr(options, name))
        for name in _NAMED
        if name in rest or getattr(options, name) is not None
    }
    overrides = [f"{key}={json.dumps(value)}" for key, value in rest.items()]
    return resolve(
        named.pop("task"),
        named.pop("space"),
        named.pop("strategy"),
        [*without_replaced(options.overrides, parameters), *overrides],
        **named,
    )


def command_options(command: str) -> argparse.Namespace:
    """Parse the options in ``trialCommand`` of an experiment, which may be a shell command line.

    Raises
    ------
    ExperimentError
        If it is not a command of ours.
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        words = []
    if MODULE not in words:
        raise ExperimentError(
            f"expected trials that run python -m {MODULE}, found {command[:60]!r}: give an "
            "experiment of dpl_nas"
        )
    words = words[words.index(MODULE) + 1 :]
    end = next(
        (at for at, word in enumerate(words) if word and set(word) <= set("();<>|&")), len(words)
    )
    return _fill(_Quoted, words[:end])


class _Quoted(argparse.ArgumentParser):
    """A parser that raises an error instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise ExperimentError(f"the command of the experiment's trials is not valid: {message}")


def _fill(
    kind: type[argparse.ArgumentParser], arguments: Sequence[str] | None
) -> argparse.Namespace:
    parser = kind(
        prog=f"python -m {MODULE}",
        description="Run one trial of an NNI experiment. NNI's parameters override the options.",
    )
    parser.add_argument("--task", default="mini/digits")
    parser.add_argument("--space", default="mini_clip")
    parser.add_argument("--strategy", default="darts")
    parser.add_argument("--shots", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--device")
    parser.add_argument(
        "--out",
        help="folder of the run; {experiment} and {trial} stand for NNI's ids; by default run/ "
        "in the trial's output folder",
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    return parser.parse_intermixed_args(arguments)
