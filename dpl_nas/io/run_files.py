"""The names of the files of a run."""

__all__ = [
    "ALPHAS_PLOT",
    "ARCHITECTURE",
    "ARCHITECTURE_PLOT",
    "CONFIG",
    "DATA",
    "EVALUATIONS",
    "FINALS",
    "LEARNED",
    "LEDGER",
    "LOCK",
    "MANUAL",
    "PROMPTS",
    "RECORDS",
    "RESULT",
    "SEARCH",
    "SEARCH_STATE",
    "SECONDS",
    "TENSORBOARD",
    "TRAIN_STATE",
    "TRIALS",
    "TRIALS_PLOT",
    "UNIFORM",
    "VERSIONS",
]

#: Every setting, and the seed.
CONFIG = "config.yml"
#: A digest of the data, and where the task is.
DATA = "data.json"
#: Versions of Python and of the packages that ran.
VERSIONS = "versions.json"
#: The lock of the process that works in the folder.
LOCK = ".lock"
#: Every trial, and every epoch of a supernet.
LEDGER = "ledger.jsonl"
#: Epochs of a differentiable search.
RECORDS = "alphas.jsonl"
ALPHAS_PLOT = "alphas.png"
#: The found lengths.
ARCHITECTURE = "architecture.json"
ARCHITECTURE_PLOT = "architecture.png"
#: The record of how they were found.
SEARCH = "search.json"
#: Trials, ranked.
EVALUATIONS = "evaluations.json"
TRIALS_PLOT = "trials.png"
#: Trained context vectors.
PROMPTS = "prompts.safetensors"
#: What a method has learned, in a run of a method.
LEARNED = "learned.safetensors"
#: Tests of all designs.
RESULT = "result.json"
#: Wall-clock time by stage.
SECONDS = "seconds.json"
#: The state from which an interrupted training continues.
TRAIN_STATE = "train.state"
#: The state from which an interrupted supernet continues.
SEARCH_STATE = "search.state"
#: The folder of states of trials.
TRIALS = "trials"
#: The folder of the finals' own ledger.
FINALS = "finals"
#: The folders of the manual and of the uniform design, with files of the same names.
MANUAL = "manual"
UNIFORM = "uniform"
#: The folder of curves.
TENSORBOARD = "tensorboard"
