"""Testing what a run has trained, on its own task or on another."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from dpl_nas.backbone import load_backbone
from dpl_nas.config import Classes
from dpl_nas.console import watched
from dpl_nas.errors import CheckpointError, DplWarning
from dpl_nas.io.arguments import check_whole, checked
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.run_files import ARCHITECTURE, LEARNED
from dpl_nas.methods import Learned, load_learned, method_class
from dpl_nas.observer import Observer
from dpl_nas.runs.data import RunData, own_task
from dpl_nas.runs.folder import saved_config
from dpl_nas.runs.result import EvaluationResult, TestResult
from dpl_nas.space import Architecture, Space, load_architecture
from dpl_nas.tasks import Task, check_images, load_task
from dpl_nas.training import TrainedPrompts, load_prompts
from dpl_nas.training.evaluation import Metrics, score
from dpl_nas.training.evaluation import evaluate as evaluate_prompts
from dpl_nas.training.origin import Origin, check_classes

__all__ = ["evaluate"]


@checked()
def evaluate(
    prompts: AnyPath,
    task: AnyPath | None = None,
    *,
    data: AnyPath | None = None,
    classes: Classes | None = None,
    other_classes: bool = False,
    batch_size: int = 100,
    device: str = "cpu",
    observer: Observer | None = None,
    quiet: bool = False,
) -> EvaluationResult:
    """Test trained prompts on the full test set of their task, or of another one.

    Parameters
    ----------
    prompts
        File of prompts; or the folder of a run, also of a method.
    task, data, classes
        As in :func:`~dpl_nas.tasks.load_task`; by default those of the training. Of another task,
        all classes.
    other_classes
        Whether the task may have other classes than those of the training. A dataset of the
        benchmark always may, and so may a task of which other ``classes`` are asked for than the
        half, or all, of the training.
    observer
        Observer that is told of the progress instead of the terminal or notebook.
    quiet
        Whether to draw no progress.

    Raises
    ------
    DplError
        If the prompts or the task cannot be read, or do not belong together.
    """
    check_whole("batch_size", batch_size, 1)
    folder = Path(prompts)
    trained: _Prompts | _Method
    if (folder / LEARNED).exists():
        trained = _Method.of(folder)
    elif folder.name == LEARNED:
        raise CheckpointError(
            f"{folder} does not say what it was trained on: give the folder of its run"
        )
    else:
        trained = _Prompts(load_prompts(prompts))
    origin = trained.origin
    name = own_task(trained.what, origin, data) if task is None else str(task)
    own = origin.classes if task is None else "all"
    tested = load_task(name, data or origin.data or None, classes or own)
    trained.tell_template(name, tested, own=task is None)
    meant = other_classes or classes not in {None, origin.classes} or bool(tested.data)
    with watched(observer, quiet=quiet) as watching:
        metrics = trained.test(
            tested, other_classes=meant, batch_size=batch_size, device=device, observer=watching
        )
    return EvaluationResult(
        task=name,
        classes=tested.classes,
        class_count=len(tested.class_names),
        prompts=str(prompts),
        test={"found": TestResult.of(metrics, trained.architecture.lengths)},
    )


@dataclass(frozen=True)
class _Prompts:
    """Context vectors, which keep the template of their training."""

    prompts: TrainedPrompts
    what: str = "prompts"

    @property
    def origin(self) -> Origin:
        return self.prompts.metadata

    @property
    def architecture(self) -> Architecture:
        return self.prompts.architecture

    def tell_template(self, name: str, tested: Task, *, own: bool) -> None:
        template = self.prompts.metadata.template
        if template != tested.template:
            warnings.warn(
                f"the template of task {name} is {'now ' if own else ''}'{tested.template}', but "
                f"the prompts were trained with '{template}' and are tested with that",
                DplWarning,
                stacklevel=3,
            )

    def test(
        self,
        tested: Task,
        *,
        other_classes: bool,
        batch_size: int,
        device: str,
        observer: Observer,
    ) -> Metrics:
        return evaluate_prompts(
            self.prompts,
            tested,
            other_classes=other_classes,
            batch_size=batch_size,
            device=device,
            observer=observer,
        )


@dataclass(frozen=True)
class _Method:
    """What a method has learned in a run; captions are those of the task that it is tested on."""

    learned: Learned
    origin: Origin
    architecture: Architecture

    @classmethod
    def of(cls, folder: Path) -> _Method:
        """Read the folder of a run.

        Raises
        ------
        DplError
            If a file is missing or damaged.
        """
        config = saved_config(folder)
        if config.method is None:
            raise CheckpointError(
                f"{folder} is a run without a method, and holds {LEARNED}: remove it"
            )
        learned = load_learned(folder / LEARNED, method_class(config.method.name))
        run = RunData.load(folder)
        origin = _RunOrigin(
            task=config.task,
            classes=config.classes,
            class_names=learned.class_names,
            folder=run.folder,
            data=run.data,
            images=run.images,
            space=config.space,
            shots=config.shots,
            seed=config.seed,
        )
        return cls(learned, origin, load_architecture(folder / ARCHITECTURE))

    @property
    def what(self) -> str:
        return f"weights of {self.learned.method.title}"

    def tell_template(self, name: str, tested: Task, *, own: bool) -> None:
        """Nothing: the template is the task's."""

    def test(
        self,
        tested: Task,
        *,
        other_classes: bool,
        batch_size: int,
        device: str,
        observer: Observer,
    ) -> Metrics:
        check_classes(self.what, self.origin, tested, other_classes=other_classes)
        check_images(tested, observer=observer)
        backbone = load_backbone(self.origin.space.backbone, device)
        scorers = {"found": self.learned.scorer(backbone, tested)}
        found = score(scorers, tested.test, backbone, batch_size=batch_size, observer=observer)
        return found["found"]


@dataclass(frozen=True)
class _RunOrigin:
    """What the files of a run say of its training."""

    task: str
    classes: Classes
    class_names: tuple[str, ...]
    folder: str
    data: str
    images: str
    space: Space
    shots: int
    seed: int
