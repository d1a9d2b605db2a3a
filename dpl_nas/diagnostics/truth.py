"""What architectures are worth: trained on all shots and tested, many of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import Field

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.config import RunConfig
from dpl_nas.engine import Ledger
from dpl_nas.engine.evaluation import architecture_of, trial_key
from dpl_nas.errors import CheckpointError, OutputError
from dpl_nas.io.files import names_in
from dpl_nas.io.validation import Frozen, validated
from dpl_nas.observer import Observer
from dpl_nas.process.pools import Pool
from dpl_nas.space import Architecture, Space, Tower
from dpl_nas.tasks import Task, few_shot_split, load_task
from dpl_nas.training.evaluation import prompted, score
from dpl_nas.training.few_shot import FewShotTraining

__all__ = ["Tested", "check_folder", "train_and_test"]

_TESTED = "tested.jsonl"
#: What diagnostics write, by pattern.
_OWN = (
    _TESTED,
    "separation.json",
    "ranking.json",
    "trials-*",
    "darts-*",
    "one_shot-*",
)


class _Line(Frozen):
    """Of the ledger."""

    lengths: dict[Tower, tuple[int, ...]]
    seed: int
    accuracy: float = Field(ge=0, le=1)
    macro_f1: float = Field(ge=0, le=1)
    seconds: float = Field(ge=0)


@dataclass(frozen=True)
class Tested:
    """An architecture trained with one seed: accuracy and macro-F1 on the full test set, 0..1."""

    architecture: Architecture
    seed: int
    accuracy: float
    macro_f1: float
    seconds: float


def train_and_test(
    config: RunConfig,
    pairs: Sequence[tuple[Architecture, int]],
    folder: Path,
    *,
    jobs: int = 1,
    observer: Observer | None = None,
) -> list[Tested]:
    """Train each architecture with its seed on all shots, and test it; in their order.

    The results are for looking at, never for choosing. Each is kept in a ledger as soon as it is
    there; what is in the ledger is not done again.

    Parameters
    ----------
    config
        Task, space, shots and the recipe of training; its seed is not used.
    jobs
        Trainings side by side.

    Raises
    ------
    OutputError
        If ``folder`` holds another diagnostic, or cannot be written.
    """
    observer = observer or Observer()
    identity = {
        "task": config.task,
        "space": config.space.id,
        "backbone": config.space.backbone.model_dump(mode="json"),
        "shots": config.shots,
        "train": config.strategy.train.model_dump(mode="json"),
    }
    wanted = {trial_key(architecture, seed): (architecture, seed) for architecture, seed in pairs}
    check_folder(folder)
    with Ledger(folder / _TESTED, identity) as ledger:
        found = {}
        for number, entry in enumerate(ledger.entries, start=2):
            validated(_Line, entry, f"line {number} of {folder / _TESTED}", CheckpointError)
            found[_entry_key(config.space, entry)] = entry
        missing = [pair for key, pair in wanted.items() if key not in found]
        observer.begin("test", len(wanted), len(wanted) - len(missing))

        def keep(entry: dict[str, Any]) -> None:
            ledger.append(entry)
            found[_entry_key(config.space, entry)] = entry
            done = sum(key in found for key in wanted)
            observer.advance("test", done, {"test_accuracy": entry["accuracy"]})

        _work(config, missing, jobs, keep)
        observer.end("test")
    return [
        Tested(
            architecture,
            seed,
            *(found[trial_key(architecture, seed)][k] for k in ("accuracy", "macro_f1", "seconds")),
        )
        for architecture, seed in pairs
    ]


def check_folder(folder: Path) -> None:
    """Complain if there is anything in ``folder`` that no diagnostic writes.

    Raises
    ------
    OutputError
        With the name of one such file.
    """
    foreign = sorted(
        name
        for name in (names_in(folder) if folder.is_dir() else ())
        if not any(fnmatchcase(name, pattern) for pattern in _OWN)
    )
    if foreign:
        raise OutputError(
            f"{folder} holds {foreign[0]}, which no diagnostic writes: use another folder"
        )


def _work(
    config: RunConfig, missing: Sequence[tuple[Architecture, int]], jobs: int, keep: Any
) -> None:
    if jobs == 1 or len(missing) < 2:
        bench = _Bench(config)
        for architecture, seed in missing:
            keep(bench.test(architecture, seed))
        return
    with Pool(jobs, prepare=_prepare, arguments=(config,)) as pool:
        futures: list[Future[dict[str, Any]]] = [
            pool.submit(_test_there, architecture, seed) for architecture, seed in missing
        ]
        for future in as_completed(futures):
            keep(future.result())


class _Bench:
    """Backbone, task and decoded shots stay loaded."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._task: Task = load_task(config.task)
        self._backbone: Backbone = load_backbone(config.space.backbone, config.device)
        self._trainings: dict[int, FewShotTraining] = {}

    def test(self, architecture: Architecture, seed: int) -> dict[str, Any]:
        started = time.perf_counter()
        prompts = self._training(seed).train(architecture)
        metrics = score(
            {"it": prompted(prompts, self._backbone)},
            self._task.test,
            len(self._task.class_names),
            batch_size=self._config.evaluate.batch_size,
        )["it"]
        return {
            "lengths": {tower: list(part) for tower, part in architecture.lengths.items()},
            "seed": seed,
            "accuracy": metrics.accuracy,
            "macro_f1": metrics.macro_f1,
            "seconds": time.perf_counter() - started,
        }

    def _training(self, seed: int) -> FewShotTraining:
        if seed not in self._trainings:
            config = self._config
            self._trainings[seed] = FewShotTraining(
                config.space,
                self._task,
                self._backbone,
                few_shot_split(self._task, config.shots, seed).shots,
                shots=config.shots,
                seed=seed,
                settings=config.strategy.train,
            )
        return self._trainings[seed]


class _Process:
    """What a worker process holds on to."""

    bench: _Bench | None = None


def _prepare(config: RunConfig) -> None:
    _Process.bench = _Bench(config)


def _test_there(architecture: Architecture, seed: int) -> dict[str, Any]:
    if _Process.bench is None:
        raise RuntimeError("the worker was not prepared")
    return _Process.bench.test(architecture, seed)


def _entry_key(space: Space, entry: dict[str, Any]) -> tuple[Any, ...]:
    return trial_key(architecture_of(space, entry["lengths"]), entry["seed"])
