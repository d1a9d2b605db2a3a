"""Few-shot tasks: the embedded ones, those of the benchmark, and your own images."""

from __future__ import annotations

from dpl_nas.tasks.checks import check_images
from dpl_nas.tasks.digest import Signatures, task_digest, test_digest
from dpl_nas.tasks.fewshot import (
    FewShotSplit,
    draw_shots,
    few_shot_split,
    select_places,
    tell_small_classes,
)
from dpl_nas.tasks.loading import configured_task, load_task, task_descriptions
from dpl_nas.tasks.python_images import make_task
from dpl_nas.tasks.task import ImageSet, Task

__all__ = [
    "FewShotSplit",
    "ImageSet",
    "Signatures",
    "Task",
    "check_images",
    "configured_task",
    "draw_shots",
    "few_shot_split",
    "load_task",
    "make_task",
    "select_places",
    "task_descriptions",
    "task_digest",
    "tell_small_classes",
    "test_digest",
]
