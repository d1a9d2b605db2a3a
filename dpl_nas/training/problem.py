"""The few-shot problem that searches, trials and trainings are about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.config import RunConfig, SearchSettings, TrainSettings
from dpl_nas.errors import ConfigError
from dpl_nas.io.arguments import check_whole, checked
from dpl_nas.space import Space, load_space
from dpl_nas.tasks import FewShotSplit, Task, few_shot_split, load_task

__all__ = ["Problem"]


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
    """

    space: Space
    task: Task
    shots: int = 16
    seed: int = 1
    recipe: TrainSettings = TrainSettings()
    device: str = "cpu"
    fingerprint: str | None = None

    @classmethod
    @checked()
    def of(
        cls,
        space: Space | str | Path,
        task: Task | str | Path,
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
    def of_run(cls, config: RunConfig, task: Task, backbone: Backbone) -> Self:
        """Return the problem of a run."""
        return cls.of(
            config.space,
            task,
            shots=config.shots,
            seed=config.seed,
            recipe=config.strategy.train,
            backbone=backbone,
        )

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
        """The same problem with other ``shots``, ``seed``, ``space`` or ``recipe``."""
        return replace(self, **changes).on(self.backbone)

    @property
    def shot_rows(self) -> tuple[int, ...]:
        """Indices into the task's training images: all of the stated shots.

        Raises
        ------
        TaskError
            If a class has too few images.
        """
        return few_shot_split(self.task, self.shots, self.seed).shots

    def split(self, search: SearchSettings) -> FewShotSplit:
        """The images that a search trains on, and those that it validates on.

        Raises
        ------
        TaskError
            If a class has too few images, or the shots cannot be split.
        """
        return few_shot_split(
            self.task, self.shots, self.seed, search.validation, search.validation_shots
        )

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "backbone"}
