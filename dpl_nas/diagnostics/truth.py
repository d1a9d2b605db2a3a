"""Test accuracies of many architectures, each trained on all shots."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field

from dpl_nas.config import RunConfig
from dpl_nas.engine import Ledger
from dpl_nas.errors import CheckpointError, OutputError
from dpl_nas.io.files import names_in
from dpl_nas.io.validation import Frozen, validate
from dpl_nas.observer import Observer, Stage
from dpl_nas.process.scheduler import Here, Processes, Workers, run_jobs
from dpl_nas.space import Architecture, Tower
from dpl_nas.training.evaluation import build_classifier, score
from dpl_nas.training.few_shot import FewShotTraining
from dpl_nas.training.problem import Problem

__all__ = ["Tested", "check_folder", "train_and_test"]

_TESTED = "tested.jsonl"
#: Patterns of the files that diagnostics write.
_OWN = (
    _TESTED,
    "separation.json",
    "ranking.json",
    "trials-*",
    "darts-*",
    "one_shot-*",
)


class Tested(Frozen):
    """An architecture trained with one seed and tested on the full test set; a line of the ledger.

    Attributes
    ----------
    lengths
        Context lengths by tower.
    images
        Digest of the training images.
    accuracy, macro_f1
        Accuracy and macro-F1, shares in 0..1.
    seconds
        Duration of training and test.
    """

    lengths: dict[Tower, tuple[int, ...]]
    seed: int
    images: str
    accuracy: float = Field(ge=0, le=1)
    macro_f1: float = Field(ge=0, le=1)
    seconds: float = Field(ge=0)

    @property
    def key(self) -> Hashable:
        """The key of a tested architecture: seed and lengths."""
        return tuple(sorted(self.lengths.items())), self.seed


@dataclass(frozen=True)
class _Job:
    """An architecture to train with a seed, and to test."""

    architecture: Architecture
    seed: int
    images: str

    @property
    def key(self) -> Hashable:
        return self.architecture.key, self.seed


def train_and_test(
    config: RunConfig,
    pairs: Sequence[tuple[Architecture, int]],
    folder: Path,
    *,
    jobs: int = 1,
    observer: Observer | None = None,
) -> list[Tested]:
    """Train each architecture with its seed on all shots, and test it; results in their order.

    Nothing may be chosen by these results. Each is kept in a ledger as soon as it is there, and
    is not measured again.

    Parameters
    ----------
    config
        Task, space, shots and the recipe of training; its seed is not used.
    jobs
        Number of trainings side by side.

    Raises
    ------
    OutputError
        If ``folder`` holds another diagnostic, or cannot be written.
    """
    observer = observer or Observer()
    check_folder(folder)
    problem = Problem.of_run(config)
    images = {
        seed: problem.digest(replace(problem, seed=seed).shot_rows)
        for seed in sorted({seed for _, seed in pairs})
    }
    identity = {
        "task": config.task,
        "space": config.space.id,
        "backbone": config.space.backbone.model_dump(mode="json"),
        "shots": config.shots,
        "train": config.strategy.train.model_dump(mode="json"),
    }
    wanted = {job.key: job for job in (_Job(*pair, images[pair[1]]) for pair in pairs)}
    with Ledger(folder / _TESTED, identity) as ledger:
        lines = [
            validate(Tested, line, f"line {number} of {folder / _TESTED}", CheckpointError)
            for number, line in enumerate(ledger.entries, start=2)
        ]
        for line in lines:
            if line.images != images.get(line.seed, line.images):
                raise OutputError(
                    f"the images of task {config.task} have changed since {folder / _TESTED} was "
                    "written: restore the images, or use another folder"
                )
        found = {line.key: line for line in lines}
        missing = [job for key, job in wanted.items() if key not in found]
        observer.begin(Stage.TEST, len(wanted), len(wanted) - len(missing))
        with closing(_workers(config, jobs if len(missing) > 1 else 1)) as workers:
            for job, pending in run_jobs(workers, missing):
                tested = pending.result()
                ledger.append(tested.model_dump(mode="json"))
                found[job.key] = tested
                done = sum(key in found for key in wanted)
                observer.advance(Stage.TEST, done, {"test_accuracy": tested.accuracy})
        observer.end(Stage.TEST)
    return [found[architecture.key, seed] for architecture, seed in pairs]


def check_folder(folder: Path) -> None:
    """Raise an error if ``folder`` holds anything that no diagnostic writes.

    Raises
    ------
    OutputError
        If there is such a file; the message names one.
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


def _workers(config: RunConfig, jobs: int) -> Workers[_Job, Tested]:
    if jobs > 1:
        return Processes(jobs, _test_there, prepare=_prepare, arguments=(config,))
    bench: list[_Bench] = []

    def test_here(job: _Job) -> Tested:
        if not bench:
            bench.append(_Bench(config))
        return bench[0].test(job)

    return Here(test_here)


class _Bench:
    """Trains and tests; backbone, task and decoded shots stay loaded."""

    def __init__(self, config: RunConfig) -> None:
        self._batch_size = config.evaluate.batch_size
        self._problem = Problem.of_run(config)
        self._trainings: dict[int, FewShotTraining] = {}

    def test(self, job: _Job) -> Tested:
        started = time.perf_counter()
        prompts = self._training(job.seed).train(job.architecture)
        metrics = score(
            {"it": build_classifier(prompts, self._problem.backbone)},
            self._problem.task.test,
            batch_size=self._batch_size,
        )["it"]
        return Tested(
            lengths=job.architecture.lengths,
            seed=job.seed,
            images=job.images,
            accuracy=metrics.accuracy,
            macro_f1=metrics.macro_f1,
            seconds=time.perf_counter() - started,
        )

    def _training(self, seed: int) -> FewShotTraining:
        if seed not in self._trainings:
            self._trainings[seed] = FewShotTraining(self._problem.having(seed=seed))
        return self._trainings[seed]


class _Process:
    """The state that a worker process keeps."""

    bench: _Bench | None = None


def _prepare(config: RunConfig) -> None:
    _Process.bench = _Bench(config)


def _test_there(job: _Job) -> Tested:
    if _Process.bench is None:
        raise RuntimeError("the worker was not prepared")
    return _Process.bench.test(job)
