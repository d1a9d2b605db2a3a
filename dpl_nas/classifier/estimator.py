"""The classifier in scikit-learn's conventions."""

from __future__ import annotations

import inspect
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from huggingface_hub import ModelCard, ModelHubMixin, hf_hub_download
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from dpl_nas.classifier.card import model_card
from dpl_nas.classifier.fitting import FitSettings, Preset, fit, parse_seconds, shots_of
from dpl_nas.classifier.labelled import PLAIN_BACKGROUND, labelled_task
from dpl_nas.classifier.model import ImageClassifier
from dpl_nas.classifier.pictures import pictures_of
from dpl_nas.classifier.saved import CONFIG, WEIGHTS, SavedClassifier
from dpl_nas.config import Balance, MethodConfig, TrainSettings, load_strategy
from dpl_nas.console import watched
from dpl_nas.errors import CheckpointError, ConfigError, OutputError, join_lines, shorten
from dpl_nas.io.arguments import check_whole
from dpl_nas.io.files import make_folder
from dpl_nas.io.home import expand_home
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import LONGEST, in_a_line
from dpl_nas.io.validation import validate
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.methods import Method
from dpl_nas.methods.registry import config_of
from dpl_nas.observer import Observer, Stage
from dpl_nas.space import Space
from dpl_nas.tasks.names import spaced, tell_names
from dpl_nas.tasks.pictures import colour
from dpl_nas.training.problem import Problem

__all__ = ["PromptClassifier"]

_BATCH = 100
#: What may be a name on the Hub, and no path.
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
#: Predictions that take no longer draw nothing.
_QUIET_SECONDS = 2.0


class PromptClassifier(ClassifierMixin, BaseEstimator, ModelHubMixin):  # type: ignore[misc]
    """Classifies pictures by a frozen CLIP that learns from a few of each class.

    Captions, linear probes, manual designs and, unless ``preset`` is ``quick``, lengths that a
    search finds are compared on pictures that they were not made of; what does best is kept.

    Pictures are paths, Pillow's images, arrays (height, width[, channels]) of uint8, tensors
    (channels, height, width), a data frame with a column of paths, a dataset of torch's, or a
    folder.

    Parameters
    ----------
    preset
        ``quick`` (a minute or so on a CPU with the embedded CLIP), ``balanced`` or ``best``.
    time_limit
        Seconds, or a text such as ``10m``, after which nothing further is tried.
    shots
        Pictures of each class to learn from, at most; ``all`` for all of them.
    seed
        Seed of all draws.
    space
        Search space, whose backbone is used: a packaged name, a file, or an object.
    strategy
        Strategy of the search: a packaged name or a file.
    methods
        Methods to compare with these, such as ``tip-adapter-f`` or ``maple``: names of
        :data:`dpl_nas.methods.METHODS`, which stand for their papers' settings, or methods.
    template
        Caption with one ``{}`` for the name of the class; ``None`` for that of the folder's
        ``task.yml``, or the usual one.
    class_names
        Names for captions: by label, or in the order of :attr:`classes_`; by default the labels.
    balance
        ``loss`` or ``batches``: every class counts the same, however many pictures it has, in
        training and in the choice of what is kept; ``none``: every picture does.
    background
        Colour on which transparent pictures are put; ``None`` for that of the folder's
        ``task.yml``, or white.
    device
        Device, such as ``cpu`` or ``cuda``.
    folder
        Folder that keeps what is done, so that a fit that was killed goes on when it is called
        again; ``None`` keeps nothing.
    quiet
        Whether to draw no progress at a terminal or in a notebook.

    Attributes
    ----------
    classes_
        Labels (classes,), sorted.
    leaderboard_
        A data frame of all candidates, the best first.
    saved_
        What was fitted, without the backbone.
    """

    def __init__(
        self,
        *,
        preset: Preset = "balanced",
        time_limit: float | str | None = None,
        shots: int | Literal["all"] = 16,
        seed: int = 1,
        space: Space | AnyPath = "mini_clip",
        strategy: AnyPath = "darts",
        methods: Sequence[str | Method] = (),
        template: str | None = None,
        class_names: Mapping[Any, str] | Sequence[str] | None = None,
        balance: Balance = "none",
        background: str | None = None,
        device: str = "cpu",
        folder: AnyPath | None = None,
        quiet: bool = False,
    ) -> None:
        self.preset = preset
        self.time_limit = time_limit
        self.shots = shots
        self.seed = seed
        self.space = space
        self.strategy = strategy
        self.methods = methods
        self.template = template
        self.class_names = class_names
        self.balance = balance
        self.background = background
        self.device = device
        self.folder = folder
        self.quiet = quiet

    def __repr__(self, N_CHAR_MAX: int = LONGEST) -> str:  # noqa: N803 - the name is scikit-learn's
        changed = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if not _is_default(name, value)
        }
        told = ", ".join(f"{name}={abbreviate(value)}" for name, value in changed.items())
        return in_a_line(f"{type(self).__name__}({told})")[:N_CHAR_MAX]

    def fit(self, X: Any, y: Any = None, *, observer: Observer | None = None) -> Self:  # noqa: N803
        """Learn from labelled pictures.

        Parameters
        ----------
        X
            Pictures; or, without ``y``, a folder with a folder a class, a list of files, or a
            dataset of torch's.
        y
            Labels: texts, whole numbers or booleans. A dataset of torch's has its own.

        Raises
        ------
        TaskError
            If pictures cannot be read, or there are fewer than two classes.
        ConfigError
            If a parameter or the kind of ``X`` is not valid.
        """
        check_whole("seed", self.seed, 0)
        try:
            colour(self._background)
        except (ValueError, AttributeError) as error:
            raise ConfigError(f"background: {error}, found {abbreviate(self.background)}") from None
        task, labels = labelled_task(
            X,
            y,
            class_names=self.class_names,
            template=self.template,
            background=self.background,
        )
        settings = validate(
            FitSettings,
            {
                "preset": self.preset,
                "time_limit": parse_seconds(self.time_limit),
                "methods": self._method_configs(),
            },
            type(self).__name__,
            ConfigError,
        )
        settings.make_methods()
        strategy = load_strategy(self.strategy)
        if self.balance != "none":
            changed = strategy.train.model_dump() | {"balance": self.balance}
            recipe = validate(TrainSettings, changed, type(self).__name__, ConfigError)
            strategy = strategy.model_copy(update={"train": recipe})
        problem = Problem.of(
            self.space,
            task,
            shots=shots_of(task, self.shots),
            seed=self.seed,
            recipe=strategy.train,
            device=self.device,
        )
        folder = None if self.folder is None else Path(self.folder)
        if folder is not None:
            make_folder(folder)
        with watched(observer, quiet=self.quiet) as watching:
            found = fit(problem, settings, strategy, folder, watching)
        saved = SavedClassifier.of(found, labels.tolist(), task.background)
        return self._use(saved, saved.classifier(problem.backbone), labels)

    def _use(
        self, saved: SavedClassifier, classifier: ImageClassifier, labels: NDArray[Any]
    ) -> Self:
        self.saved_ = saved
        self.classes_ = labels
        self._classifier = classifier
        return self

    @property
    def leaderboard_(self) -> Any:
        """A data frame of all candidates, the best first."""
        import pandas as pd

        check_is_fitted(self, "saved_")
        return pd.DataFrame([each.model_dump() for each in self.saved_.metadata.leaderboard])

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the label (pictures,) of each picture.

        Raises
        ------
        TaskError
            If a picture cannot be read.
        """
        logits = self._logits(X)
        return np.asarray(self.classes_[logits.argmax(axis=1)])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return calibrated probabilities (pictures, classes), in the order of ``classes_``."""
        logits = torch.from_numpy(self._logits(X))
        return np.asarray((logits / self.saved_.metadata.temperature).softmax(dim=1).numpy())

    def decision_function(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return logits (pictures, classes); of two classes (pictures,), for the second."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def _logits(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        check_is_fitted(self, "saved_")
        pictures = pictures_of(X, self.saved_.metadata.background)
        found = [np.zeros((0, len(self.classes_)))]
        started, shown, done = time.monotonic(), False, 0
        with watched(None, quiet=self.quiet) as watching:
            for pixels, told in pictures.pixels(self._classifier.backbone, _BATCH):
                for error in told:
                    if error is not None:
                        raise error
                found.append(self._classifier.logits(pixels).double().cpu().numpy())
                done += len(told)
                if not shown and time.monotonic() - started >= _QUIET_SECONDS:
                    watching.begin(Stage.PREDICT, len(pictures), done)
                    shown = True
                if shown:
                    watching.advance(Stage.PREDICT, done, {})
        return np.concatenate(found)

    # The Hub.

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: AnyPath, **options: Any) -> Self:
        """Load a classifier from a folder, or from the Hub by its name.

        Parameters
        ----------
        **options
            ``device`` and ``quiet``; ``method``, the class of a method that is not of this
            package; and those of huggingface_hub's ``from_pretrained``.

        Raises
        ------
        CheckpointError
            If there is none, or a file is missing or damaged.
        ConfigError
            If an option is unknown.
        """
        known = set(inspect.signature(cls._load).parameters) - {"model_id"}
        if unknown := sorted(set(options) - known):
            raise ConfigError(
                f"from_pretrained has no option {tell_names(unknown)}, but "
                f"{', '.join(sorted(known))}: give others to set_params"
            )
        # The Hub's own reads config.json without a check, and takes the text of an object for its
        # path.
        try:
            name = expand_home(os.fspath(pretrained_model_name_or_path))
        except ValueError as error:
            raise CheckpointError(str(error)) from None
        return cls._load(model_id=name, **options)

    def save_pretrained(self, save_directory: AnyPath, **options: Any) -> str | None:
        """Write a classifier into a folder, as huggingface_hub's ``save_pretrained``.

        Raises
        ------
        NotFittedError
            If it is not fitted; nothing is written then.
        """
        check_is_fitted(self, "saved_")
        try:
            folder = Path(expand_home(os.fspath(save_directory)))
        except ValueError as error:
            raise OutputError(str(error)) from None
        make_folder(folder)
        place: str | None = super().save_pretrained(folder, **options)
        return place

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Write a classifier to the Hub, as huggingface_hub's ``push_to_hub``.

        Raises
        ------
        NotFittedError
            If it is not fitted; nothing is written then.
        """
        check_is_fitted(self, "saved_")
        place: str = super().push_to_hub(repo_id, **options)
        return place

    def _save_pretrained(self, save_directory: Path) -> None:
        check_is_fitted(self, "saved_")
        self.saved_.save(Path(save_directory))

    @classmethod
    def _load(
        cls,
        *,
        model_id: str,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
        device: str = "cpu",
        method: type[Method] | None = None,
        quiet: bool = False,
    ) -> Self:
        folder = Path(model_id)
        if not folder.is_dir():
            advice = "give the folder of a classifier, or its name on the Hub"
            if _HUB_NAME.fullmatch(model_id) is None or os.path.lexists(model_id):
                raise CheckpointError(f"there is no folder {shorten(model_id)}: {advice}")
            try:
                files = [
                    hf_hub_download(
                        model_id,
                        name,
                        revision=revision,
                        cache_dir=cache_dir,
                        force_download=force_download,
                        local_files_only=local_files_only,
                        token=token,
                    )
                    for name in (CONFIG, WEIGHTS)
                ]
            except (OSError, ValueError) as error:
                # The Hub's own errors have several lines.
                reason = shorten(join_lines(str(error)))
                raise CheckpointError(
                    f"there is no folder {model_id}, and it cannot be read from the Hub "
                    f"({reason}): {advice}"
                ) from error
            folder = Path(files[0]).parent
        saved = SavedClassifier.load(folder, method)
        meta = saved.metadata
        usual = tuple(spaced(str(label)) for label in meta.labels)
        names = dict(zip(meta.labels, meta.class_names, strict=True))
        made = cls(
            space=meta.space or "mini_clip",
            shots=meta.shots,
            seed=meta.seed,
            template=meta.template,
            # Another fit may have other classes.
            class_names=None if meta.class_names == usual else names,
            background=meta.background,
            device=device,
            quiet=quiet,
        )
        classifier = saved.classifier(saved.load_backbone(device))
        return made._use(saved, classifier, np.asarray(meta.labels))

    def generate_model_card(self, *_: Any, **fields: Any) -> ModelCard:
        """Return the model card; ``license`` is that of the classifier."""
        check_is_fitted(self, "saved_")
        return ModelCard(model_card(self.saved_.metadata, str(fields.get("license") or "unknown")))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags

    def _method_configs(self) -> tuple[MethodConfig, ...]:
        given = self.methods
        if isinstance(given, str) or not all(isinstance(each, (str, Method)) for each in given):
            raise ConfigError(
                f"methods: expected a list of names or methods, found {abbreviate(given)}"
            )
        return tuple(map(config_of, given))

    @property
    def _background(self) -> str:
        """The colour for pictures that are no folder."""
        return PLAIN_BACKGROUND if self.background is None else self.background


def _is_default(name: str, value: Any) -> bool:
    default = inspect.signature(PromptClassifier.__init__).parameters[name].default
    # An array of names has no single answer.
    return value is default or (isinstance(value, (str, int)) and value == default)
