"""What a method of few-shot learning is: what it learns, and what it answers then."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from dpl_nas.backbone import Backbone
from dpl_nas.console import watched
from dpl_nas.errors import CheckpointError, OutputError
from dpl_nas.io.arguments import checked
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.validation import Frozen
from dpl_nas.observer import Observer
from dpl_nas.tasks import Task
from dpl_nas.tasks.names import tell_names
from dpl_nas.training.evaluation import Scorer
from dpl_nas.training.problem import Problem

__all__ = ["Learned", "Method", "Scorer"]


class Method(Frozen, ABC):
    """A method and its settings; the defaults are the paper's.

    Attributes
    ----------
    title
        Name as people write it.
    paper
        Where it is described, and where the settings are from.
    """

    title: ClassVar[str]
    paper: ClassVar[str]
    #: Whether what was learned answers for other classes, by their captions.
    transfers: ClassVar[bool] = False

    @abstractmethod
    def learn(
        self, problem: Problem, rows: Sequence[int], state: Path | None, observer: Observer
    ) -> Mapping[str, Tensor]:
        """Learn from images of the task's pool; nothing of the backbone changes.

        The result depends on problem and rows only, and holds all that :meth:`scorer` needs beside
        the backbone and the task's names.

        Parameters
        ----------
        state
            File that is written after every epoch by methods that have epochs in the towers. If it
            exists, they go on from it.
        observer
            Is told of the progress of the same.

        Raises
        ------
        TaskError
            If the images cannot be read, or the text tower cannot tell classes apart that the
            method tells apart by their captions.
        ConfigError
            If what is learned stops being finite numbers, or does not fit the backbone.
        CheckpointError
            If ``state`` is damaged or of another training.
        """

    @abstractmethod
    def scorer(self, tensors: Mapping[str, Tensor], backbone: Backbone, task: Task) -> Scorer:
        """Return the method in use, with what it has learned."""

    @abstractmethod
    def parameters(self, tensors: Mapping[str, Tensor]) -> int:
        """Return how many numbers are learned; what is only stored does not count."""

    def variants(self, problem: Problem) -> Mapping[str, Method]:
        """Return what a small search on the shots tries: this method with other settings.

        The first is tried by itself if the shots are too few to choose. By default, there is
        nothing to choose.

        Returns
        -------
        mapping
            Methods by what tells them apart, such as ``lr 0.003``.
        """
        del problem
        return {"": self}

    @checked(OutputError)
    def adapt(
        self,
        problem: Problem,
        rows: Sequence[int] | None = None,
        *,
        state: AnyPath | None = None,
        observer: Observer | None = None,
        quiet: bool = False,
    ) -> Learned:
        """Learn from ``rows``, by default all of the stated shots; otherwise as :meth:`learn`.

        Parameters
        ----------
        observer
            Observer that is told of the progress instead of the terminal or notebook.
        quiet
            Whether to draw no progress.
        """
        rows = problem.shot_rows if rows is None else rows
        file = None if state is None else Path(state)
        with watched(observer, quiet=quiet) as watching:
            found = self.learn(problem, rows, file, watching)
        tensors = {name: each.detach().cpu().clone() for name, each in found.items()}
        return Learned(self, tensors, problem.backbone.fingerprint, problem.task.class_names)


@dataclass(frozen=True)
class Learned:
    """A method with what it has learned, without the backbone.

    Attributes
    ----------
    tensors
        In the host's memory, by name.
    fingerprint
        Fingerprint of the backbone's weights: no others will do.
    class_names
        Names of the classes that it was learned for.
    """

    method: Method
    tensors: Mapping[str, Tensor]
    fingerprint: str
    class_names: tuple[str, ...]

    __repr__ = short_repr

    @property
    def parameters(self) -> int:
        """Number of learned numbers."""
        return self.method.parameters(self.tensors)

    @torch.no_grad()
    def scorer(self, backbone: Backbone, task: Task) -> Scorer:
        """Return the method in use.

        Raises
        ------
        CheckpointError
            If the backbone has other weights; if the task has other classes, and the method does
            not transfer.
        """
        if backbone.fingerprint != self.fingerprint:
            raise CheckpointError(
                f"{self.method.title} was learned on weights {self.fingerprint}, found "
                f"{backbone.name} weights {backbone.fingerprint}: load the weights that it was "
                "learned on"
            )
        if task.class_names != self.class_names and not self.method.transfers:
            raise CheckpointError(
                f"{self.method.title} was learned for {tell_names(self.class_names)}, and "
                f"{task.name} has {tell_names(task.class_names)}: learn again"
            )
        moved = {name: value.to(backbone.device) for name, value in self.tensors.items()}
        return self.method.scorer(moved, backbone, task)
