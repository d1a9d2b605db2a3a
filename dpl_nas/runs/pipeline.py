"""Search, train, evaluate: the stages of a run, each skipped when its file is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dpl_nas.backbone import check_layers
from dpl_nas.config import MethodConfig, RunConfig
from dpl_nas.console import watched
from dpl_nas.errors import CheckpointError, ConfigError, OutputError, SpaceError
from dpl_nas.io.arguments import checked
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.run_files import (
    ARCHITECTURE,
    LEARNED,
    LEDGER,
    MANUAL,
    PROMPTS,
    RECORDS,
    RESULT,
    SEARCH,
    TRAIN_STATE,
    UNIFORM,
)
from dpl_nas.methods import Learned, load_learned, problem_of_run, save_learned
from dpl_nas.methods.plain import plain_scorers
from dpl_nas.methods.searched import searched_method
from dpl_nas.observer import Observer, OneStage, Stage
from dpl_nas.runs.clock import Clock
from dpl_nas.runs.damage import check_files
from dpl_nas.runs.data import RunData
from dpl_nas.runs.folder import open_folder
from dpl_nas.runs.notes import result_notes
from dpl_nas.runs.result import (
    RunResult,
    SearchRecord,
    SearchRunResult,
    TestResult,
    TrainRunResult,
    read_record,
    write_record,
)
from dpl_nas.runs.search_files import list_evaluations, record_search
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Architecture, Space, load_architecture
from dpl_nas.tasks import configured_task
from dpl_nas.training import TrainedPrompts, load_prompts
from dpl_nas.training import train as train_prompts
from dpl_nas.training.distributed import check_devices
from dpl_nas.training.evaluation import Scorer, build_classifier, score
from dpl_nas.training.problem import Problem

__all__ = ["run", "search", "train"]

#: Length of the uniform design, if none is given.
_LENGTH = 4


@dataclass(frozen=True)
class _Job:
    """The values that all stages of a run share."""

    config: RunConfig
    problem: Problem
    folder: Path
    observer: Observer

    def claim(self) -> None:
        """Keep the data of the run, or raise an error if it is of other data, or damaged."""
        RunData.of(self.problem).claim(self.folder)
        check_files(self.folder)


@checked()
def run(
    config: RunConfig,
    folder: AnyPath,
    *,
    resume: bool = False,
    overwrite: bool = False,
    baselines: bool = True,
    observer: Observer | None = None,
    quiet: bool = False,
) -> RunResult:
    """Search, train and test; returns the content of ``result.json``.

    The found lengths and the manual design are trained with the same recipe. Both, and zero-shot
    CLIP, are tested on the full test set; of a model of images alone, class means and the linear
    probe. The manual design has the same length everywhere. If the space has limits, it is the
    best of :func:`dpl_nas.space.fitting.portfolio` by validation, and its search may spend as much
    as the search has spent; with ``evaluate.uniform_length``, the uniform design is beside both,
    whatever its vectors. ``overwrite`` first removes a run in ``folder``, once the configuration
    is known to work. Without ``baselines``, only the found lengths are trained and tested.

    Parameters
    ----------
    observer, quiet
        Who is told of the progress instead of the terminal or notebook; whether nobody is.

    Raises
    ------
    DplError
        For any bad input; nothing half-written is left behind.
    """
    with watched(observer, quiet=quiet) as watching:
        return _run(
            config,
            Path(folder),
            resume=resume,
            overwrite=overwrite,
            baselines=baselines,
            observer=watching,
        )


def _run(
    config: RunConfig,
    folder: Path,
    *,
    resume: bool,
    overwrite: bool,
    baselines: bool,
    observer: Observer,
) -> RunResult:
    # Before the folder is touched: bad input leaves nothing behind.
    job = _job(config, folder, observer, searches=True)
    problem = job.problem
    with open_folder(folder, config, resume, overwrite=overwrite):
        job.claim()
        if (folder / RESULT).exists():
            return read_record(folder / RESULT, RunResult, "remove it to test again")
        clock = Clock(folder)
        found, record = _search(job)
        designs: dict[str, tuple[Architecture, Scorer]] = {}

        def add(name: str, part: _Job, design: Architecture, stage: Stage) -> None:
            with clock.stage(Stage.TRAIN):
                designs[name] = design, _scorer(part, design, stage)

        add("found", job, found, Stage.TRAIN_FOUND)
        if baselines:
            manual = _Job(config, problem, folder / MANUAL, job.observer)
            with clock.stage(Stage.SEARCH_MANUAL if config.space.limits else Stage.TRAIN):
                design = _manual_design(manual, record)
            add("manual", manual, design, Stage.TRAIN_MANUAL)
        if baselines and config.space.limits and config.evaluate.uniform_length is not None:
            # The limits of the space do not apply: it shows what they cost.
            free = problem.having(space=config.space.without_limits())
            uniform = _Job(config, free, folder / UNIFORM, job.observer)
            add("uniform", uniform, _uniform(free.space, config), Stage.TRAIN_UNIFORM)
        with clock.stage(Stage.EVALUATE):
            test = _test(job, designs, with_plain=baselines)
        result = RunResult(
            **RunResult.of(config, found),
            test=test,
            validation_accuracy=record.validation_accuracy,
            search=record.summary,
            seconds={Stage.SEARCH: record.seconds, **clock.seconds},
            notes=result_notes(
                job.problem,
                config,
                folder,
                found,
                designs.get("manual", (None, None))[0],
                record,
            ),
        )
        write_record(folder / RESULT, result)
        return result


@checked()
def search(
    config: RunConfig,
    folder: AnyPath,
    *,
    resume: bool = False,
    overwrite: bool = False,
    observer: Observer | None = None,
    quiet: bool = False,
) -> SearchRunResult:
    """Search only; returns the architecture and how it was found.

    Arguments are as in :func:`run`.
    """
    folder = Path(folder)
    with watched(observer, quiet=quiet) as watching:
        job = _job(config, folder, watching, searches=True)
        with open_folder(folder, config, resume, overwrite=overwrite):
            job.claim()
            found, record = _search(job)
            notes = result_notes(job.problem, config, folder, found, search=record)
            return SearchRunResult(**SearchRunResult.of(config, found), search=record, notes=notes)


@checked()
def train(
    config: RunConfig,
    architecture: Architecture | AnyPath,
    folder: AnyPath,
    *,
    resume: bool = False,
    overwrite: bool = False,
    observer: Observer | None = None,
    quiet: bool = False,
) -> TrainRunResult:
    """Train a given architecture only; writes ``prompts.safetensors``.

    A run of a method writes ``learned.safetensors`` instead. Arguments are as in :func:`run`.
    """
    architecture, folder = load_architecture(architecture), Path(folder)
    config.space.check(architecture)
    with watched(observer, quiet=quiet) as watching:
        job = _job(config, folder, watching, searches=False)
        with open_folder(folder, config, resume, overwrite=overwrite):
            job.claim()
            _check_lengths(folder, architecture)
            # This comes first, so that a resumed training knows its data.
            architecture.save(folder / ARCHITECTURE)
            if config.method is None:
                _train(job, architecture, Stage.TRAIN)
            else:
                _learn(job, config.method, architecture, Stage.TRAIN)
            file = PROMPTS if config.method is None else LEARNED
            return TrainRunResult(
                **TrainRunResult.of(config, architecture), prompts=str(folder / file)
            )


def _job(config: RunConfig, folder: Path, observer: Observer, *, searches: bool) -> _Job:
    """Prepare a run: its numbers are checked, and its images can be read."""
    task = configured_task(config)
    if any(folder.resolve().is_relative_to(Path(each).resolve()) for each in task.folders):
        raise OutputError(
            f"{folder} lies among the images of task {task.name}, so pictures of the run would "
            "count as images: use a folder elsewhere"
        )
    problem = problem_of_run(config, task)
    if problem.method is not None and config.devices > 1:
        raise ConfigError(
            f"devices={config.devices} share the batches of context vectors alone, found method "
            f"{problem.method.title}: use one device"
        )
    search = config.strategy.search if searches else None
    # Bad numbers are found before the weights are loaded, which takes seconds.
    problem.split(search)
    check_devices(config.devices, problem.backbone.device)
    for tower, part in config.space.towers.items():
        asks = f"space {config.space.name} searches"
        check_layers(problem.backbone, tower, part.layers, asks=asks, error=SpaceError)
    problem.check(search, test=True, observer=observer)
    return _Job(config, problem, folder, observer)


def _check_lengths(folder: Path, architecture: Architecture) -> None:
    """Raise an error if ``folder`` has other lengths, or a search that is not complete."""
    file = folder / ARCHITECTURE
    if file.exists():
        if load_architecture(file).key != architecture.key:
            raise OutputError(
                f"{folder} holds a run with other lengths (see {file.name}): use another folder"
            )
    elif (folder / RECORDS).exists() or (folder / LEDGER).exists():
        raise OutputError(
            f"{folder} holds an interrupted search: resume the search, or use another folder"
        )


def _search(job: _Job) -> tuple[Architecture, SearchRecord]:
    config, folder = job.config, job.folder
    if (folder / ARCHITECTURE).exists() and not (folder / SEARCH).exists():
        # A search writes the architecture last.
        raise OutputError(
            f"{folder} holds the training of given lengths, not a search: use another folder"
        )
    if not (folder / ARCHITECTURE).exists():
        # NNI takes seconds to import, and a resumed run that has searched does not need it.
        from dpl_nas.strategy import make_strategy

        result = make_strategy(config.strategy).search(
            job.problem,
            config.budget or config.strategy.budget,
            objective=config.strategy.objective,
            jobs=config.jobs,
            max_failed=config.strategy.max_failed,
            folder=folder,
            observer=job.observer,
            devices=config.devices,
        )
        record_search(config, result, folder)
    remedy = f"remove it and {ARCHITECTURE} to search again"
    record = read_record(folder / SEARCH, SearchRecord, remedy)
    return load_architecture(folder / ARCHITECTURE), record


def _manual_design(job: _Job, record: SearchRecord) -> Architecture:
    """The manual design; with limits, it is searched with as much as the search has spent."""
    config = job.config
    if not config.space.limits:
        return _uniform(config.space, config)
    file = job.folder / ARCHITECTURE
    if not file.exists():
        from dpl_nas.strategy import Manual

        settings = config.strategy.search
        manual = Manual(**settings.of_trials, finalists=settings.finalists)
        manual.stage = Stage.SEARCH_MANUAL
        result = manual.search(
            job.problem,
            SearchBudget(steps=max(record.steps, record.trial_steps)),
            jobs=config.jobs,
            max_failed=config.strategy.max_failed,
            folder=job.folder,
            observer=job.observer,
        )
        list_evaluations(result, job.folder)
        result.architecture.save(file)
    return load_architecture(file)


def _uniform(space: Space, config: RunConfig) -> Architecture:
    """The design with the same length everywhere."""
    length = config.evaluate.uniform_length
    return space.uniform(_LENGTH if length is None else length)


def _scorer(job: _Job, architecture: Architecture, stage: Stage) -> Scorer:
    """Train ``architecture``, unless that was done, and return it in use."""
    method = job.config.method
    if method is None:
        return build_classifier(_train(job, architecture, stage), job.problem.backbone)
    return _learn(job, method, architecture, stage).scorer(job.problem.backbone, job.problem.task)


def _learn(job: _Job, config: MethodConfig, architecture: Architecture, stage: Stage) -> Learned:
    """Train the method of the run with the lengths of ``architecture``."""
    problem, file = job.problem, job.folder / LEARNED
    method = searched_method(config).of(architecture)
    if file.exists():
        saved = load_learned(file, type(method))
        if saved.method != method:
            raise CheckpointError(
                f"{file} holds a method with other lengths or settings than this run: remove it to "
                "train again"
            )
        return saved
    state = job.folder / TRAIN_STATE
    learned = method.adapt(problem, state=state, observer=OneStage(job.observer, stage))
    save_learned(learned, file)
    return learned


def _train(job: _Job, architecture: Architecture, stage: Stage) -> TrainedPrompts:
    file = job.folder / PROMPTS
    if file.exists():
        saved = load_prompts(file)
        if saved.architecture.key != architecture.key:
            raise CheckpointError(
                f"{file} holds prompts of other lengths than this run: remove it to train again"
            )
        return saved
    prompts = train_prompts(
        architecture,
        job.problem,
        state=job.folder / TRAIN_STATE,
        observer=job.observer,
        stage=stage,
        devices=job.config.devices,
    )
    prompts.save(file)
    return prompts


def _test(
    job: _Job, designs: dict[str, tuple[Architecture, Scorer]], *, with_plain: bool
) -> dict[str, TestResult]:
    """Test all designs, and the plain backbone, on the full test set."""
    task, backbone = job.problem.task, job.problem.backbone
    scorers = {name: scorer for name, (_, scorer) in designs.items()}
    lengths = {name: architecture.lengths for name, (architecture, _) in designs.items()}
    if with_plain:
        plain = plain_scorers(job.problem)
        scorers |= plain
        lengths |= {name: {} for name in plain}
    metrics = score(
        scorers,
        task.test,
        backbone,
        batch_size=job.config.evaluate.batch_size,
        observer=job.observer,
    )
    return {name: TestResult.of(found, lengths[name]) for name, found in metrics.items()}
