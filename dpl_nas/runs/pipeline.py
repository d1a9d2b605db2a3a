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
from dpl_nas.errors import CheckpointError, OutputError, SpaceError
from dpl_nas.io.files import read_record, write_json
from dpl_nas.observer import Observer
from dpl_nas.runs.folder import open_folder
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Architecture, load_architecture
from dpl_nas.strategy.result import SearchResult
from dpl_nas.tasks import Task, few_shot_split, load_task
from dpl_nas.training import TrainedPrompts, load_prompts
from dpl_nas.training import train as train_prompts
from dpl_nas.training.distributed import check_devices
from dpl_nas.training.evaluate import Metrics, prompted, score, zero_shot
from dpl_nas.training.evaluate import evaluate as evaluate_prompts

__all__ = ["evaluate", "run", "search", "train"]

_ARCHITECTURE = "architecture.json"
_SEARCH = "search.json"
_PROMPTS = "prompts.safetensors"
_RESULT = "result.json"
_RECORDS = "alphas.jsonl"
_LEDGER = "ledger.jsonl"
_EVALUATIONS = "evaluations.json"


def run(
    config: RunConfig,
    folder: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    baselines: bool = True,
    observer: Observer | None = None,
) -> dict[str, Any]:
    """The whole job; returns what ``result.json`` holds.

    Beside the found lengths, the manual design is trained with the same recipe, and both are
    tested with zero-shot CLIP on the full test set. The manual design is the same length
    everywhere; where the space has limits, it is the best by validation of
    :func:`dpl_nas.space.fitting.manual_designs`, for which as much is spent as the search has
    spent. ``overwrite`` removes a run that is in ``folder`` first, once the configuration is known
    to work. Without ``baselines``, only the found lengths are trained and tested.

    Raises
    ------
    DplError
        For any bad input; nothing half-written is left behind.
    """
    observer = observer or Observer()
    # Before the folder is touched: bad input leaves nothing behind.
    task, backbone = _parts(config, searches=True)
    with open_folder(folder, config, resume, overwrite=overwrite):
        if (folder / _RESULT).exists():
            return read_record(folder / _RESULT, "remove it to test again")
        clock = _Clock(folder)
        found, summary = _searched(config, task, backbone, folder, observer)
        classifiers = {}
        with clock.stage("train"):
            prompts = _trained(config, found, task, backbone, folder, observer, "found")
            classifiers["found"] = prompted(prompts, backbone)
        if baselines:
            with clock.stage("search manual" if config.space.limits else "train"):
                design = _manual_design(
                    config, summary, task, backbone, folder / "manual", observer
                )
            with clock.stage("train"):
                manual = _trained(
                    config, design, task, backbone, folder / "manual", observer, "manual"
                )
            classifiers["manual"] = prompted(manual, backbone)
            classifiers["zero_shot"] = zero_shot(task, backbone)
        with clock.stage("evaluate"):
            metrics = score(
                classifiers,
                task.test,
                len(task.class_names),
                batch_size=config.evaluate.batch_size,
                observer=observer,
            )
        seconds = {"search": summary.pop("seconds"), **clock.seconds}
        summary.pop("peak_bytes", None)
        result = _result(config, found, summary, metrics, seconds)
        if baselines:
            result["test"]["manual"]["lengths"] = _lists(design)
        write_json(folder / _RESULT, result)
        return result


def search(
    config: RunConfig,
    folder: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    observer: Observer | None = None,
) -> dict[str, Any]:
    """Only the search; returns the architecture and how it was found."""
    task, backbone = _parts(config, searches=True)
    with open_folder(folder, config, resume, overwrite=overwrite):
        found, summary = _searched(config, task, backbone, folder, observer or Observer())
        return {**_head(config, found), "search": summary}


def train(
    config: RunConfig,
    architecture: Architecture,
    folder: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    observer: Observer | None = None,
) -> dict[str, Any]:
    """Only the training of a given architecture; writes ``prompts.safetensors``."""
    config.space.check(architecture)
    task, backbone = _parts(config, searches=False)
    with open_folder(folder, config, resume, overwrite=overwrite):
        _check_lengths(folder, architecture)
        # First, so that a training that is resumed knows what it is of.
        architecture.save(folder / _ARCHITECTURE)
        _trained(config, architecture, task, backbone, folder, observer or Observer(), "found")
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
        self.seconds: dict[str, float] = (
            read_record(self._file, "remove it to count the seconds afresh")
            if self._file.exists()
            else {}
        )

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
            write_json(self._file, self.seconds)


def _parts(config: RunConfig, *, searches: bool) -> tuple[Task, Backbone]:
    """Task and backbone, of which the configuration is known not to ask for too much."""
    task = load_task(config.task)
    few_shot_split(task, config.shots, config.seed)
    if searches:
        search = config.strategy.search
        few_shot_split(task, config.shots, config.seed, search.validation, search.validation_shots)
    backbone = load_backbone(config.space.backbone, config.device)
    check_devices(config.devices, backbone.device)
    for tower, part in config.space.towers.items():
        if part.layers[-1] >= backbone.layers[tower]:
            raise SpaceError(
                f"space {config.space.name} searches {tower}/{part.layers[-1]}, but the {tower} "
                f"tower of {backbone.name} has {backbone.layers[tower]} layers, counted from 0"
            )
    return task, backbone


def _check_lengths(folder: Path, architecture: Architecture) -> None:
    """Complain if what ``folder`` holds is about other lengths, or still searching for them."""
    file = folder / _ARCHITECTURE
    if file.exists():
        if load_architecture(file).lengths != architecture.lengths:
            raise OutputError(
                f"{folder} holds a run with other lengths, {file.name} has them: use another folder"
            )
    elif (folder / _RECORDS).exists() or (folder / _LEDGER).exists():
        raise OutputError(
            f"{folder} holds a search that is not complete: go on with it, or use another folder"
        )


def _searched(
    config: RunConfig, task: Task, backbone: Backbone, folder: Path, observer: Observer
) -> tuple[Architecture, dict[str, Any]]:
    if (folder / _ARCHITECTURE).exists() and (folder / _SEARCH).exists():
        return load_architecture(folder / _ARCHITECTURE), read_record(
            folder / _SEARCH, f"remove it and {_ARCHITECTURE} to search again"
        )
    if (folder / _ARCHITECTURE).exists():
        # A search writes it last.
        raise OutputError(
            f"{folder} holds the training of given lengths, not a search: use another folder"
        )
    # NNI takes seconds to import: a resumed run that has searched does not need it.
    from dpl_nas.strategy import make_strategy

    result = make_strategy(config.strategy).search(
        config.space,
        task,
        config.budget or config.strategy.budget,
        shots=config.shots,
        seed=config.seed,
        train=config.strategy.train,
        objective=config.strategy.objective,
        jobs=config.jobs,
        max_failed=config.strategy.max_failed,
        backbone=backbone,
        folder=folder,
        observer=observer,
        devices=config.devices,
    )
    return result.architecture, record(config, result, folder)


def record(config: RunConfig, result: SearchResult, folder: Path, **more: Any) -> dict[str, Any]:
    """Write what a search found, after which :func:`run` goes on with the training.

    Parameters
    ----------
    more
        Plain values for the summary, such as where the search took place.

    Returns
    -------
    dict
        What ``search.json`` holds.
    """
    _draw(config, result, folder)
    _list(result, folder)
    # Seconds and bytes are the machine's: result.json has the one under its own key only.
    summary = {
        **result.summary(),
        **more,
        "seconds": result.seconds,
        "peak_bytes": result.peak_bytes,
    }
    write_json(folder / _SEARCH, summary)
    result.architecture.save(folder / _ARCHITECTURE)
    return summary


def _manual_design(
    config: RunConfig,
    summary: dict[str, Any],
    task: Task,
    backbone: Backbone,
    folder: Path,
    observer: Observer,
) -> Architecture:
    """The manual design, searched with as much as the search spent where there are limits."""
    if not config.space.limits:
        return config.space.uniform(config.evaluate.uniform_length)
    file = folder / _ARCHITECTURE
    if not file.exists():
        from dpl_nas.strategy import Manual

        settings = config.strategy.search
        manual = Manual(validation=settings.validation, validation_shots=settings.validation_shots)
        manual.stage = "search manual"
        result = manual.search(
            config.space,
            task,
            SearchBudget(steps=max(summary["steps"], summary["trial_steps"])),
            shots=config.shots,
            seed=config.seed,
            train=config.strategy.train,
            jobs=config.jobs,
            max_failed=config.strategy.max_failed,
            backbone=backbone,
            folder=folder,
            observer=observer,
        )
        _list(result, folder)
        result.architecture.save(file)
    return load_architecture(file)


def _draw(config: RunConfig, result: SearchResult, folder: Path) -> None:
    from dpl_nas.runs.plots import plot_alphas, plot_architecture

    plot_architecture(result.architecture, folder / "architecture.png")
    lengths: dict[str, tuple[int, ...]] = {
        tower: part.lengths for tower, part in config.space.towers.items()
    }
    if result.records:
        plot_alphas([asdict(record) for record in result.records], lengths, folder / "alphas.png")


def _list(result: SearchResult, folder: Path) -> None:
    """Every trial, the best first, and which are on the front of accuracy against vectors."""
    if not result.evaluations:
        return
    ranked = {each.number for each in result.ranking}
    others = [each for each in result.evaluations if each.number not in ranked]
    write_json(
        folder / _EVALUATIONS,
        {
            "ranking": [each.as_dict() for each in result.ranking],
            "front": [each.number for each in result.front],
            "others": [each.as_dict() for each in others],
            "curve": result.curve,
        },
    )


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
        saved = load_prompts(file)
        if saved.architecture.lengths != architecture.lengths:
            raise CheckpointError(
                f"{file} holds prompts of other lengths than this run's: remove it to train afresh"
            )
        return saved
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
        devices=config.devices,
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
