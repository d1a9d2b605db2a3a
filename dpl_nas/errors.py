"""The errors that a user can cause; each has one sentence that says what to do.

The command line prints such a sentence and exits with code 2; anything else that is
raised is a defect of dpl_nas and keeps its traceback.
"""

__all__ = [
    "ArchitectureError",
    "BackboneError",
    "BenchError",
    "CheckpointError",
    "ComparisonError",
    "ConfigError",
    "DplError",
    "DplWarning",
    "ExperimentError",
    "OutputError",
    "SpaceError",
    "StrategyError",
    "TaskError",
    "join_lines",
    "shorten",
]

#: Longest sentence. Those that list all models of open_clip have 700 characters.
_LONGEST = 1500


def join_lines(text: str) -> str:
    """Return ``text`` in one line; blanks within a line may be part of a name."""
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def shorten(text: str, most: int = 200) -> str:
    """Return ``text``, without its middle if it is longer than ``most`` characters.

    Input may have any length; an error should quote it and stay readable.
    """
    if len(text) <= most:
        return text
    # The advice is at the end.
    half = most // 2 - 1
    return f"{text[:half]}\N{HORIZONTAL ELLIPSIS}{text[-half:]}"


class DplError(Exception):
    """Bad input: what was expected, what was found, what to do, in one sentence."""

    def __str__(self) -> str:
        return shorten(super().__str__(), _LONGEST)


class DplWarning(UserWarning):
    """A note to the user that is not an error."""


class ConfigError(DplError):
    """A setting is unknown, of the wrong type or out of range."""


class SpaceError(DplError):
    """A search space cannot be found or is not valid."""


class ArchitectureError(DplError):
    """An architecture is malformed or belongs to another search space."""


class BackboneError(DplError):
    """A backbone is unknown, has an unsupported tower, or its weights are missing."""


class CheckpointError(DplError):
    """A file of weights or state is truncated, foreign, or fits something else."""


class TaskError(DplError):
    """A task cannot be found, is laid out wrongly, or has too few images."""


class StrategyError(DplError):
    """A search strategy cannot be found or cannot run on this space."""


class ComparisonError(DplError):
    """Results to be compared are malformed, duplicate or missing."""


class BenchError(DplError):
    """A plan of a bench of methods that cannot be carried out."""


class ExperimentError(DplError):
    """An NNI experiment cannot be found, is not ours, or has no result yet."""


class OutputError(DplError):
    """An output folder is in use, holds another run, or cannot be written."""
