"""A small problem, its features and its test images, computed without the package's methods."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dpl_nas.backbone import Backbone
from dpl_nas.space import Space
from dpl_nas.tasks import ImageSet, Task, load_task
from dpl_nas.training.problem import Problem

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Plain:
    """What a definition of a method is written with, in float64.

    ``images`` and ``test`` are plain image features (n, embed), ``captions`` class features
    (classes, embed) of length 1.
    """

    images: Array
    labels: Sequence[int]
    test: Array
    captions: Array
    scale: float
    pixels: torch.Tensor

    @property
    def unit(self) -> Array:
        return unit(self.images)

    @property
    def one_hot(self) -> Array:
        return np.eye(len(self.captions))[list(self.labels)]


def unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


@pytest.fixture(scope="module")
def problem(small_space: Space, small_backbone: Backbone, image_folder: Path) -> Problem:
    return Problem.of(small_space, load_task(image_folder), shots=4, backbone=small_backbone)


@pytest.fixture(scope="module")
def plain(problem: Problem) -> Plain:
    backbone, task = problem.backbone, problem.task

    def pixels(images: ImageSet, rows: Sequence[int]) -> torch.Tensor:
        return torch.stack([backbone.preprocess(images.image(row)) for row in rows])

    model = backbone.model
    captions = [task.template.replace("{}", name) for name in task.class_names]
    tokens = backbone.tokenize(captions)
    shots, test = problem.shot_rows, range(12)
    with torch.no_grad():
        text = model.encode_text(tokens).double().numpy()
        images = model.encode_image(pixels(task.train, shots)).double().numpy()
        seen = pixels(task.test, test)
        found = model.encode_image(seen).double().numpy()
    labels = [task.train.labels[row] for row in shots]
    return Plain(images, labels, found, unit(text), float(backbone.logit_scale.exp()), seen)


@pytest.fixture(scope="module")
def task(image_folder: Path) -> Task:
    return load_task(image_folder)
