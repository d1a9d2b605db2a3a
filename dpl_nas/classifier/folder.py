"""The folder of a fit, which goes on after an interruption and ends as a classifier."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from torch import Tensor

from dpl_nas.classifier.card import model_card
from dpl_nas.classifier.fitting import Fit, FitSettings, fit, refuse_texts, shots_of
from dpl_nas.classifier.held import HELD, Held
from dpl_nas.classifier.model import ImageClassifier
from dpl_nas.classifier.report import report_page
from dpl_nas.classifier.saved import CONFIG, WEIGHTS, ClassifierMetadata, SavedClassifier
from dpl_nas.config import RunConfig
from dpl_nas.console import watched
from dpl_nas.errors import CheckpointError, OutputError
from dpl_nas.io.arguments import checked
from dpl_nas.io.files import make_folder, names_in, read_json, write_json, write_text
from dpl_nas.io.locks import claim
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.run_files import LOCK
from dpl_nas.io.validation import Frozen, Number, validate
from dpl_nas.observer import Observer, Stage
from dpl_nas.tasks import Task, test_digest
from dpl_nas.training.batches import FewShotImages
from dpl_nas.training.evaluation import metrics_of
from dpl_nas.training.problem import Problem

__all__ = ["FitResult", "fit_folder", "known_of", "result_in", "write_page"]

#: What the fit is of, and its work that is kept while it lasts.
_FIT, _WORK = "fit.json", "work"
_CARD = "README.md"
_RESULT = "result.json"
_PAGE = "report.html"
_OWN = {_FIT, _WORK, LOCK, CONFIG, _CARD, _RESULT, WEIGHTS, HELD, _PAGE}
_BATCH = 100


class Tested(Frozen):
    """Shares in 0..1 over ``images`` test images.

    Attributes
    ----------
    seen
        Number of test images that the classifier was made of, too: to it, these are the same.
    """

    accuracy: Number = Field(ge=0, le=1)
    macro_f1: Number = Field(ge=0, le=1)
    images: int = Field(ge=1)
    seen: int = Field(ge=0)

    @property
    def told(self) -> str:
        """What the test images are."""
        if not self.seen:
            return f"{self.images} test pictures"
        are = "is" if self.seen == 1 else "are"
        return f"{self.images} test pictures, of which {self.seen} {are} trained on, too"


class FitResult(Frozen):
    """The result of a fit, beside its classifier.

    Attributes
    ----------
    classifier
        Folder of the classifier.
    vectors
        Number of its context vectors; ``None`` for a method.
    accuracy
        Accuracy of the ``chosen`` candidate by cross-fitting with the most folds.
    test
        Its test on the test images, if there are any.
    """

    classifier: str
    chosen: str
    vectors: int | None
    accuracy: Number
    test: Tested | None
    seconds: Number


@checked()
def fit_folder(
    config: RunConfig,
    task: Task,
    settings: FitSettings,
    folder: AnyPath,
    *,
    shots: int | Literal["all"],
    overwrite: bool = False,
    observer: Observer | None = None,
    quiet: bool = False,
) -> FitResult:
    """Fit a classifier of a task, and write it to a folder.

    The same call goes on where a killed one stopped, and returns the result of a finished one.

    Parameters
    ----------
    config
        Space, strategy, recipe, seed and device; its task, shots and budget are not used.
    shots
        Images of each class at most, or ``all``.
    overwrite
        Whether to remove another fit in the folder first.
    observer
        Observer that is told of the progress instead of the terminal or notebook.
    quiet
        Whether to draw no progress.

    Raises
    ------
    OutputError
        If the folder holds anything else, or another process works in it.
    DplError
        For any bad input; nothing is left behind then.
    """
    refuse_texts(config.space, task)
    with watched(observer, quiet=quiet) as watching:
        return _fit(config, task, settings, Path(folder), shots, overwrite, watching)


def _fit(
    config: RunConfig,
    task: Task,
    settings: FitSettings,
    folder: Path,
    shots: int | Literal["all"],
    overwrite: bool,
    observer: Observer,
) -> FitResult:
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder} is a file, not a folder: use another path")
    if any(folder.resolve().is_relative_to(Path(each).resolve()) for each in task.folders):
        raise OutputError(f"{folder} lies among the pictures of {task.name}: use another folder")
    settings.make_methods()
    problem = Problem.of(
        config.space,
        task,
        shots=shots_of(task, shots),
        seed=config.seed,
        recipe=config.strategy.train,
        device=config.device,
    )
    problem.check_images(problem.shot_rows, test=bool(task.test.labels), observer=observer)
    identity = _identity(config, problem, settings)
    make_folder(folder)
    busy = f"{folder} is in use by a fit that is still going: wait, or use another folder"
    if names_in(folder) - _OWN:
        raise OutputError(f"{folder} is not empty: use another folder")
    with claim(folder / LOCK, busy):
        _claim(folder, identity, overwrite=overwrite)
        if (done := result_in(folder)) is not None:
            return done
        work = folder / _WORK
        work.mkdir(exist_ok=True)
        found = fit(problem, settings, config.strategy, work, observer)
        result = _finish(found, task, folder, observer)
        shutil.rmtree(work)
        return result


def _finish(found: Fit, task: Task, folder: Path, observer: Observer) -> FitResult:
    saved = SavedClassifier.of(found, task.class_labels, task.background)
    test = _tested(saved.classifier(found.problem.backbone), found, observer)
    saved.save(folder)
    held = Held.of(found)
    held.save(folder)
    write_text(folder / _CARD, model_card(saved.metadata))
    result = FitResult(
        classifier=str(folder),
        chosen=found.chosen.candidate.name,
        vectors=found.chosen.candidate.vectors,
        accuracy=found.judged.accuracy,
        test=test,
        seconds=round(found.seconds, 3),
    )
    write_text(folder / _PAGE, _page(saved.metadata, held, result))
    # Last: with it, the fit is complete.
    write_json(folder / _RESULT, result.model_dump(mode="json"))
    return result


@checked(OutputError)
def write_page(folder: AnyPath) -> Path:
    """Write the report of a classifier into its folder, and return its path.

    Raises
    ------
    CheckpointError
        If the folder holds no classifier, or nothing is known of its pictures.
    """
    folder = Path(folder)
    result = result_in(folder)
    page = folder / _PAGE
    write_text(page, _page(*known_of(folder), result))
    return page


@checked(OutputError)
def result_in(folder: AnyPath) -> FitResult | None:
    """Return the result of the fit in a folder; ``None`` if a classifier alone is there.

    Raises
    ------
    OutputError
        If it is damaged.
    """
    file = Path(folder) / _RESULT
    if not file.exists():
        return None
    return validate(FitResult, read_json(file), str(file), OutputError)


@checked(CheckpointError)
def known_of(folder: AnyPath) -> tuple[ClassifierMetadata, Held]:
    """Return what a classifier is, and what it said of its pictures.

    Raises
    ------
    CheckpointError
        If the folder holds no classifier, nothing is known of its pictures, or this is of another.
    """
    metadata, held = SavedClassifier.load(folder).metadata, Held.load(folder)
    expected = (metadata.images, len(metadata.labels))
    if held.logits.shape != expected or held.temperature != metadata.temperature:
        raise CheckpointError(f"{HELD} in {folder} is of another classifier: fit again")
    return metadata, held


def _page(metadata: ClassifierMetadata, held: Held, result: FitResult | None) -> str:
    told = None
    if result is not None and result.test is not None:
        test = result.test
        told = f"On {test.told}: {test.accuracy:.1%} are right (macro-F1 {test.macro_f1:.1%})."
    return report_page(metadata, held, told)


def _tested(classifier: ImageClassifier, fit: Fit, observer: Observer) -> Tested | None:
    images, backbone = fit.problem.task.test, classifier.backbone
    count = len(images.labels)
    if not count:
        return None
    trained = FewShotImages(fit.problem.task.pool, fit.rows, backbone, "none")
    known = {each for part in trained.parts(_BATCH) for each in _prints(trained.batch(part, 0)[0])}
    del trained
    loaded = FewShotImages(images, range(count), backbone, "none")
    parts = loaded.parts(_BATCH)
    observer.begin(Stage.EVALUATE, len(parts))
    predicted: list[int] = []
    seen = 0
    for done, part in enumerate(parts, start=1):
        pixels, _ = loaded.batch(part, 0)
        predicted += classifier.logits(pixels).argmax(dim=1).tolist()
        seen += sum(each in known for each in _prints(pixels))
        observer.advance(Stage.EVALUATE, done, {"images": part.stop})
    observer.end(Stage.EVALUATE)
    return Tested(**metrics_of(images.labels, predicted).as_dict(), seen=seen)


def _prints(pixels: Tensor) -> list[bytes]:
    """What tells preprocessed images (batch, 3, S, S) apart."""
    return [hashlib.sha256(each.numpy().tobytes()).digest() for each in pixels.cpu()]


def _identity(config: RunConfig, problem: Problem, settings: FitSettings) -> dict[str, Any]:
    """What two fits must share to be the same."""
    task = problem.task
    return {
        "task": task.name,
        "images": problem.digest(),
        "test_images": test_digest(task) if task.test.labels else "",
        "space": config.space.model_dump(mode="json"),
        "strategy": config.strategy.model_dump(mode="json"),
        "weights": problem.backbone.fingerprint,
        "shots": problem.shots,
        "seed": problem.seed,
        "background": task.background,
        "settings": settings.model_dump(mode="json"),
    }


def _claim(folder: Path, identity: dict[str, Any], *, overwrite: bool) -> None:
    """Begin a fit in a folder, or go on with the same one."""
    file = folder / _FIT
    if overwrite:
        for name in sorted(names_in(folder) & _OWN - {LOCK}):
            path = folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    if not file.exists():
        if names_in(folder) - {LOCK}:
            raise OutputError(f"{folder} holds no fit that can go on: use another folder")
        write_json(file, identity)
        return
    saved = read_json(file)
    different = [key for key, value in identity.items() if saved.get(key) != value]
    if different:
        raise OutputError(
            f"the fit in {folder} has other data or settings ({', '.join(different)}): give the "
            "same ones to go on, --overwrite to remove it, or use another folder"
        )
