"""Search, train, evaluate: the stages of a run, each skipped when its file is there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.config import RunConfig
from dpl_nas.files import read_json, write_json
from dpl_nas.observer import Observer
from dpl_nas.runs.folder import open_folder
from dpl_nas.space import Architecture, load_architecture
from dpl_nas.strategy.result import SearchResult
from dpl_nas.tasks import Task, load_task
from dpl_nas.training import TrainedPrompts, load_prompts
from dpl_nas.training import train as train_prompts
from dpl_nas.training.evaluate import Metrics, prompted, score, zero_shot
from dpl_nas.training.evaluate import evaluate as evaluate_prompts

__all__ = ["evaluate", "run", "search", "train"]

_ARCHITECTURE = "architecture.json"
_SEARCH = "search.json"
_PROMPTS = "prompts.safetensors"
_RESULT = "result.json"


def run(
    config: RunConfig, folder: Path, *, resume: bool = False, observer: Observer | None = None
) -> dict[str, Any]:
    """The whole job; returns what ``result.json`` holds.

    Beside the found lengths, the same length everywhere is trained with the same budget, and
    both are tested with zero-shot CLIP on the full test set.

    Raises
    ------
    DplError
        For any bad input; nothing half-written is left behind.
    """
    observer = observer or Observer()
    # Before the folder is touched: bad input leaves nothing behind.
    task, backbone = _parts(config)
    with open_folder(folder, config, resume):
        if (folder / _RESULT).exists():
            finished: dict[str, Any] = read_json(folder / _RESULT)
            return finished
        clock = _Clock(folder)
        found, summary = _searched(config, task, backbone, folder, observer)
        uniform = config.space.uniform(config.evaluate.uniform_length)
        with clock.stage("train"):
            prompts = _trained(config, found, task, backbone, folder, observer, "found")
            manual = _trained(
                config, uniform, task, backbone, folder / "uniform", observer, "uniform"
            )
        with clock.stage("evaluate"):
            metrics = score(
                {
                    "found": prompted(prompts, backbone),
                    "uniform": prompted(manual, backbone),
                    "zero_shot": zero_shot(task, backbone),
                },
                task.test,
                len(task.class_names),
                batch_size=config.evaluate.batch_size,
                observer=observer,
            )
        seconds = {"search": summary.pop("seconds"), **clock.seconds}
        result = _result(config, found, summary, metrics, seconds)
        result["test"]["uniform"]["lengths"] = _lists(uniform)
        write_json(folder / _RESULT, result)
        return result


def search(
    config: RunConfig, folder: Path, *, resume: bool = False, observer: Observer | None = None
) -> dict[str, Any]:
    """Only the search; returns the architecture and how it was found."""
    task, backbone = _parts(config)
    with open_folder(folder, config, resume):
        found, summary = _searched(config, task, backbone, folder, observer or Observer())
        return {**_head(config, found), "search": summary}


def train(
    config: RunConfig,
    architecture: Architecture,
    folder: Path,
    *,
    resume: bool = False,
    observer: Observer | None = None,
) -> dict[str, Any]:
    """Only the training of a given architecture; writes ``prompts.safetensors``."""
    config.space.check(architecture)
    task, backbone = _parts(config)
    with open_folder(folder, config, resume):
        _trained(config, architecture, task, backbone, folder, observer or Observer(), "found")
        architecture.save(folder / _ARCHITECTURE)
        return {**_head(config, architecture), "prompts": str(folder / _PROMPTS)}


def evaluate(
    prompts: Path,
    task: str | None = None,
    *,
    batch_size: int = 100,
    device: str = "cpu",
    observer: Observer | None = None,
) -> dict[str, Any]:
    """Test trained prompts on the full test set of their task, or of another with its classes."""
    trained = load_prompts(prompts)
    name = task or trained.metadata.task
    metrics = evaluate_prompts(
        trained, load_task(name), batch_size=batch_size, device=device, observer=observer
    )
    return {"task": name, "prompts": str(prompts), "test": {"found": metrics.as_dict()}}


class _Clock:
    """Seconds by stage, kept in a file so that a resumed run counts all its parts."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "seconds.json"
        self.seconds: dict[str, float] = read_json(self._file) if self._file.exists() else {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
            write_json(self._file, self.seconds)


def _parts(config: RunConfig) -> tuple[Task, Backbone]:
    return load_task(config.task), load_backbone(config.space.backbone, config.device)


def _searched(
    config: RunConfig, task: Task, backbone: Backbone, folder: Path, observer: Observer
) -> tuple[Architecture, dict[str, Any]]:
    if (folder / _ARCHITECTURE).exists() and (folder / _SEARCH).exists():
        return load_architecture(folder / _ARCHITECTURE), read_json(folder / _SEARCH)
    # NNI takes seconds to import: a resumed run that has searched does not need it.
    from dpl_nas.strategy import DARTS

    result = DARTS(**config.strategy.search.model_dump()).search(
        config.space,
        task,
        shots=config.shots,
        seed=config.seed,
        backbone=backbone,
        folder=folder,
        observer=observer,
    )
    _draw(config, result, folder)
    summary = {**result.summary(), "seconds": result.seconds}
    write_json(folder / _SEARCH, summary)
    result.architecture.save(folder / _ARCHITECTURE)
    return result.architecture, summary


def _draw(config: RunConfig, result: SearchResult, folder: Path) -> None:
    from dpl_nas.report.plots import plot_alphas, plot_architecture

    plot_architecture(result.architecture, folder / "architecture.png")
    lengths: dict[str, tuple[int, ...]] = {
        tower: part.lengths for tower, part in config.space.towers.items()
    }
    plot_alphas([asdict(record) for record in result.records], lengths, folder / "alphas.png")


def _trained(
    config: RunConfig,
    architecture: Architecture,
    task: Task,
    backbone: Backbone,
    folder: Path,
    observer: Observer,
    name: str,
) -> TrainedPrompts:
    file = folder / _PROMPTS
    if file.exists():
        return load_prompts(file)
    prompts = train_prompts(
        architecture,
        config.space,
        task,
        shots=config.shots,
        seed=config.seed,
        settings=config.strategy.train,
        backbone=backbone,
        state=folder / "train.state",
        observer=observer,
        stage=f"train {name}",
    )
    prompts.save(file)
    return prompts


def _lists(architecture: Architecture) -> dict[str, list[int]]:
    return {tower: list(lengths) for tower, lengths in architecture.lengths.items()}


def _head(config: RunConfig, architecture: Architecture) -> dict[str, Any]:
    return {
        "task": config.task,
        "space": config.space.name,
        "strategy": config.strategy.name,
        "shots": config.shots,
        "seed": config.seed,
        "lengths": _lists(architecture),
        "vectors": architecture.vectors,
    }


def _result(
    config: RunConfig,
    found: Architecture,
    summary: dict[str, Any],
    metrics: dict[str, Metrics],
    seconds: dict[str, float],
) -> dict[str, Any]:
    return {
        **_head(config, found),
        "test": {name: value.as_dict() for name, value in metrics.items()},
        "validation_accuracy": summary["validation_accuracy"],
        "search": summary,
        "seconds": seconds,
    }
