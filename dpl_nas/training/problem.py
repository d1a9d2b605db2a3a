"""The few-shot problem that searches, trials and trainings are about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.config import RunConfig, SearchSettings, SupernetSettings, TextTemplate, TrainSettings
from dpl_nas.errors import ConfigError
from dpl_nas.io.arguments import check_whole, checked
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.observer import Observer
from dpl_nas.space import Space, load_space
from dpl_nas.tasks import (
    FewShotSplit,
    Signatures,
    Task,
    check_images,
    configured_task,
    few_shot_split,
    load_task,
    task_digest,
    tell_small_classes,
)
from dpl_nas.training.captions import check_captions, check_inputs
from dpl_nas.training.searched import SearchedMethod

__all__ = ["Problem"]


@dataclass
class _Checked:
    """What :meth:`Problem.check` has seen: kinds of captions, training images, the test set."""

    kinds: set[TextTemplate] = field(default_factory=set)
    rows: set[int] = field(default_factory=set)
    test: bool = False


@dataclass(frozen=True, eq=False)
class Problem:
    """A space, the few-shot images of a task, and the recipe that architectures are trained with.

    When it is sent to another process, the backbone's weights are left out. They are loaded
    there on demand, and must be the same.

    Attributes
    ----------
    space, task
        Space to search, and task with the classes.
    shots, seed
        Images per class, and the seed of their draw and of all other draws.
    recipe
        Settings of the training of context vectors.
    device
        Device, such as ``cpu`` or ``cuda:0``.
    fingerprint
        Fingerprint of the backbone's weights; ``None`` while any are accepted.
    method
        Method whose lengths are searched; ``None`` for context vectors alone.
    """

    space: Space
    task: Task
    shots: int = 16
    seed: int = 1
    recipe: TrainSettings = TrainSettings()
    device: str = "cpu"
    fingerprint: str | None = None
    method: SearchedMethod | None = None

    __repr__ = short_repr

    @classmethod
    @checked()
    def of(
        cls,
        space: Space | AnyPath,
        task: Task | AnyPath,
        *,
        shots: int = 16,
        seed: int = 1,
        recipe: TrainSettings | None = None,
        backbone: Backbone | None = None,
        device: str = "cpu",
    ) -> Self:
        """A problem on a backbone that is loaded already, or on the one that ``space`` names.

        Space and task may be objects, names or paths.
        """
        space, task = load_space(space), load_task(task)
        check_whole("shots", shots, 1)
        check_whole("seed", seed, 0)
        problem = cls(space, task, shots, seed, recipe or TrainSettings(), device)
        return problem.on(backbone or problem.backbone)

    @classmethod
    def of_run(cls, config: RunConfig, task: Task | None = None) -> Self:
        """Return the problem of a run, whose backbone is loaded when it is first asked for.

        Raises
        ------
        ConfigError
            If the run is of another method than context vectors alone: see
            :func:`dpl_nas.methods.problem_of_run`.
        """
        if config.method is not None:
            raise ConfigError(
                f"expected a run of context vectors alone, found method {config.method.name}: "
                "leave out the method"
            )
        task = task or configured_task(config)
        recipe = config.strategy.train
        return cls(config.space, task, config.shots, config.seed, recipe, config.device)

    @cached_property
    def backbone(self) -> Backbone:
        """The frozen CLIP, loaded from :attr:`Space.backbone` if it is not there yet.

        Raises
        ------
        ConfigError
            If the weights differ from those that the problem began with.
        """
        loaded = load_backbone(self.space.backbone, self.device)
        if self.fingerprint not in {None, loaded.fingerprint}:
            raise ConfigError(
                f"the weights of {loaded.name} are not those that the search began with: "
                "search with jobs=1, or name the weights in space.backbone.pretrained"
            )
        return loaded

    def on(self, backbone: Backbone) -> Self:
        """The same problem on a backbone that is loaded already."""
        moved = replace(self, device=str(backbone.device), fingerprint=backbone.fingerprint)
        moved.__dict__["backbone"] = backbone
        return moved

    def having(self, **changes: Any) -> Self:
        """The same problem with other ``shots``, ``seed``, ``space``, ``recipe`` or ``method``."""
        return replace(self, **changes).on(self.backbone)

    @property
    def shot_rows(self) -> tuple[int, ...]:
        """Indices into the task's training images: all of the stated shots.

        Raises
        ------
        TaskError
            If a class has too few images.
        """
        return self.split().shots

    def split(self, search: SearchSettings | None = None) -> FewShotSplit:
        """The images that ``search`` trains on, and those that it validates on.

        Without ``search``, all of the stated shots are trained on.

        Raises
        ------
        TaskError
            If a class has too few images, or the shots cannot be split.
        """
        if search is None:
            return few_shot_split(self.task, self.shots, self.seed)
        return few_shot_split(
            self.task, self.shots, self.seed, search.validation, search.validation_shots
        )

    def digest(self, rows: Sequence[int] | None = None) -> str:
        """Return :func:`dpl_nas.tasks.task_digest` of training images; each file is read once.

        Parameters
        ----------
        rows
            Indices into the task's pool; all of the stated shots by default.

        Raises
        ------
        TaskError
            If an image cannot be read.
        """
        return task_digest(self.task, self.shot_rows if rows is None else rows, self._signatures)

    def check(
        self,
        search: SearchSettings | None = None,
        *,
        test: bool = False,
        observer: Observer | None = None,
        quiet: bool = False,
    ) -> None:
        """Check, once, what training or ``search`` needs: captions that differ, readable images.

        Parameters
        ----------
        search
            Settings of a search, which decide what it validates on and which captions it uses.
        test
            Whether the test images are checked as well.
        observer, quiet
            As in :func:`dpl_nas.tasks.check_images`.

        Raises
        ------
        TaskError
            If a class has too few images, classes have the same caption, images cannot be read, or
            the backbone reads texts and the task has images, or the other way round.
        """
        check_inputs(self.backbone, self.task)
        self._check_method()
        split = self.split(search)
        rows = {*split.shots, *split.validation}
        kinds: set[TextTemplate] = {self.recipe.template}
        if isinstance(search, SupernetSettings):
            kinds.add(search.template)
        done = self._checked
        if not kinds <= done.kinds:
            check_captions(self.backbone, self.task, *sorted(kinds - done.kinds))
            tell_small_classes(self.task, self.shots)
            done.kinds |= kinds
        self.check_images(rows, test=test, observer=observer, quiet=quiet)

    def _check_method(self) -> None:
        """Raise an error for what needs captions, if the backbone cannot read them."""
        if self.backbone.classes_by == "captions":
            return
        name = self.backbone.name
        if self.method is not None:
            raise ConfigError(
                f"{self.method.title} has captions for classes, which {name} cannot read: leave "
                "out the method"
            )
        if self.recipe.distillation.weight:
            raise ConfigError(
                f"train.distillation.weight is that of zero-shot CLIP, which {name} is not: leave "
                "it out"
            )
        if self.task.inputs == "texts" and self.recipe.augmentation not in ("task", "none"):
            raise ConfigError(
                f"train.augmentation={self.recipe.augmentation} is of images, and "
                f"{self.task.name} has texts: leave it out"
            )

    def check_images(
        self,
        rows: Iterable[int],
        *,
        test: bool = False,
        observer: Observer | None = None,
        quiet: bool = False,
    ) -> None:
        """Check, once, that images of the task's pool and, with ``test``, of its test are readable.

        Raises
        ------
        TaskError
            If some cannot be read.
        """
        wanted, done = set(rows), self._checked
        test = test and not done.test
        check_images(self.task, wanted - done.rows, test=test, observer=observer, quiet=quiet)
        done.rows |= wanted
        done.test |= test

    @cached_property
    def _signatures(self) -> Signatures:
        return Signatures(self.task.pool)

    @cached_property
    def _checked(self) -> _Checked:
        return _Checked()

    def __getstate__(self) -> dict[str, Any]:
        state = {key: value for key, value in self.__dict__.items() if key != "backbone"}
        if "backbone" in self.__dict__:
            state["fingerprint"] = self.backbone.fingerprint
        return state
