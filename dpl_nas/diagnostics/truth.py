"""Test accuracies of many architectures, each trained on all shots."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

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
from dpl_nas.training.stacks import split_evenly

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
        Duration of training and test; of several side by side, an equal share.
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
    """Architectures to train side by side with a seed, and to test."""

    architectures: tuple[Architecture, ...]
    seed: int
    images: str


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
    wanted = {(architecture.key, seed): architecture for architecture, seed in pairs}
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
        done = sum(key in found for key in wanted)
        observer.begin(Stage.TEST, len(wanted), done)
        # Images are decoded to make stacks, so not where nothing is missing.
        every = _stacks(problem, wanted, images, jobs) if done < len(wanted) else ()
        stacks = [
            job
            for job in every
            if any((each.key, job.seed) not in found for each in job.architectures)
        ]
        with closing(_workers(config, jobs if len(stacks) > 1 else 1)) as workers:
            for _, pending in run_jobs(workers, stacks):
                for tested in pending.result():
                    if tested.key in found:
                        continue
                    ledger.append(tested.model_dump(mode="json"))
                    found[tested.key] = tested
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


def _stacks(
    problem: Problem,
    wanted: Mapping[Any, Architecture],
    images: Mapping[int, str],
    jobs: int,
) -> Iterator[_Job]:
    """Yield all that is wanted, in the order of its seeds.

    What is there already has its place in a stack, too: a stack's members decide how numbers are
    rounded, and a diagnostic that goes on must end as one that was never interrupted.
    """
    size = FewShotTraining(problem).stack_size
    for seed, digest in images.items():
        of_seed = [each for key, each in wanted.items() if key[1] == seed]
        for part in split_evenly(of_seed, size, jobs):
            yield _Job(tuple(part), seed, digest)


def _workers(config: RunConfig, jobs: int) -> Workers[_Job, list[Tested]]:
    if jobs > 1:
        return Processes(jobs, _test_there, prepare=_prepare, arguments=(config,))
    bench: list[_Bench] = []

    def test_here(job: _Job) -> list[Tested]:
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

    def test(self, job: _Job) -> list[Tested]:
        started = time.perf_counter()
        trained = self._training(job.seed).train_stack(job.architectures)
        metrics = score(
            {
                str(place): build_classifier(prompts, self._problem.backbone)
                for place, prompts in enumerate(trained)
            },
            self._problem.task.test,
            self._problem.backbone,
            batch_size=self._batch_size,
        )
        seconds = (time.perf_counter() - started) / len(trained)
        return [
            Tested(
                lengths=architecture.lengths,
                seed=job.seed,
                images=job.images,
                accuracy=found.accuracy,
                macro_f1=found.macro_f1,
                seconds=seconds,
            )
            for architecture, found in zip(job.architectures, metrics.values(), strict=True)
        ]

    def _training(self, seed: int) -> FewShotTraining:
        if seed not in self._trainings:
            self._trainings[seed] = FewShotTraining(self._problem.having(seed=seed))
        return self._trainings[seed]


class _Process:
    """The state that a worker process keeps."""

    bench: _Bench | None = None


def _prepare(config: RunConfig) -> None:
    _Process.bench = _Bench(config)


def _test_there(job: _Job) -> list[Tested]:
    if _Process.bench is None:
        raise RuntimeError("the worker was not prepared")
    return _Process.bench.test(job)
