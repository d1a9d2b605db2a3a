"""Fitting a classifier: candidates are compared by cross-fitting, and the best is made of all."""

from __future__ import annotations

import hashlib
import json
import re
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from dpl_nas.classifier.candidates import STRENGTHS, Candidate, Made, make_candidates
from dpl_nas.classifier.evidence import Evidence, cross_fit, ranked
from dpl_nas.classifier.kept import load_evidence, save_evidence
from dpl_nas.config import MethodConfig, StrategyConfig
from dpl_nas.console import watched
from dpl_nas.errors import ConfigError, DplWarning, TaskError
from dpl_nas.io.arguments import checked
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.validation import Frozen, Number
from dpl_nas.io.yaml_values import abbreviate
from dpl_nas.methods import FeatureMethod, Method, make_method
from dpl_nas.observer import Observer, Stage
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space import Architecture, Space
from dpl_nas.space.fitting import portfolio
from dpl_nas.tasks import Task, tell_small_classes
from dpl_nas.training.captions import check_captions
from dpl_nas.training.problem import Problem

__all__ = [
    "PRESETS",
    "Effort",
    "Fit",
    "FitSettings",
    "Preset",
    "fit",
    "parse_seconds",
    "refuse_texts",
    "shots_of",
]

Preset = Literal["quick", "balanced", "best"]

#: Strength of the captions in a head that is fitted after the context vectors.
_STRENGTH = 1e-4
#: Of the time that is left, the search may take this share: cross-fitting and training follow.
_SEARCH_SHARE = 0.5
#: Folds by which what was chosen is judged: without and with context vectors, whose training takes
#: a while. A half of the images would make it less sure than it is.
_FOLDS, _FOLDS_OF_CONTEXTS = 8, 4
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Effort:
    """The candidates of a preset, beside captions and linear probes.

    Attributes
    ----------
    designs
        Number of manual designs.
    trials
        Whole trainings that a search may spend; 0 for no search.
    """

    designs: int
    trials: int

    __repr__ = short_repr


PRESETS: dict[Preset, Effort] = {
    "quick": Effort(designs=3, trials=0),
    "balanced": Effort(designs=3, trials=4),
    "best": Effort(designs=9, trials=10),
}


class FitSettings(Frozen):
    """The effort of a fit.

    Attributes
    ----------
    preset
        ``quick``: captions, linear probes and a few manual designs. ``balanced`` and ``best``: a
        search for lengths, too.
    time_limit
        Seconds after which nothing further is tried; the best so far is made of all images then.
    methods
        Methods to compare beside these, with settings that are put over their papers'.
    """

    preset: Preset = "balanced"
    time_limit: Number | None = Field(default=None, gt=0)
    methods: tuple[MethodConfig, ...] = ()

    @field_validator("methods")
    @classmethod
    def _each_once(cls, methods: tuple[MethodConfig, ...]) -> tuple[MethodConfig, ...]:
        names = [each.name for each in methods]
        if twice := [each for index, each in enumerate(names) if each in names[:index]]:
            raise ValueError(f"expected each once, found {twice[0]} twice")
        return methods

    def make_methods(self) -> dict[str, Method]:
        """Return the methods by name.

        Raises
        ------
        ConfigError
            If one is unknown, or a setting of it is not valid.
        """
        return {each.name: make_method(each.name, **each.settings) for each in self.methods}


@dataclass(frozen=True)
class Fit:
    """A fitted classifier, and why it was chosen.

    Attributes
    ----------
    made
        Chosen candidate, made of all images.
    evidence
        Evidence of all candidates, the best first, by which one was chosen.
    judged
        Evidence of the chosen candidate by more folds, so by what is made of nearly as many images
        as it is: what its probabilities are worth.
    rows
        Indices into the task's pool of the images that it was made of.
    seconds
        Wall-clock seconds of this process.
    """

    problem: Problem
    made: Made
    evidence: tuple[Evidence, ...]
    judged: Evidence
    rows: tuple[int, ...]
    seconds: float

    __repr__ = short_repr

    @property
    def chosen(self) -> Evidence:
        """The evidence of the chosen candidate."""
        return self.evidence[0]


@checked()
def fit(
    problem: Problem,
    settings: FitSettings,
    strategy: StrategyConfig,
    folder: AnyPath | None = None,
    observer: Observer | None = None,
    *,
    quiet: bool = False,
) -> Fit:
    """Compare candidates on the few-shot images of a problem, and make the best of all of these.

    Each candidate is made of one half of the images and judged on the other, and the reverse, so
    every image counts. What is found by a search has been compared with captions, linear probes
    and manual designs in this way; the best by :attr:`Evidence.score` is kept.

    Parameters
    ----------
    strategy
        Strategy of the search, if the preset has one.
    folder
        Folder that keeps what is done, so that a fit that was killed goes on; it belongs to one
        problem and one effort.
    observer
        Observer that is told of the progress instead of the terminal or notebook.
    quiet
        Whether to draw no progress.

    Raises
    ------
    TaskError
        If images cannot be read.
    CheckpointError
        If the folder holds what is damaged, or of other images or settings.
    """
    with watched(observer, quiet=quiet) as watching:
        return _fit(problem, settings, strategy, None if folder is None else Path(folder), watching)


def refuse_texts(space: Space, task: Task) -> None:
    """Raise an error for a task of texts, or a language model.

    Raises
    ------
    ConfigError
        If it is one.
    """
    if task.inputs == "texts" or space.backbone.classes_by == "words":
        raise ConfigError(
            "a fit makes classifiers of images, found texts or a language model: use dpl-nas run, "
            "search or train"
        )


def _fit(
    problem: Problem,
    settings: FitSettings,
    strategy: StrategyConfig,
    folder: Path | None,
    observer: Observer,
) -> Fit:
    started = time.monotonic()
    effort = PRESETS[settings.preset]
    problem.backbone  # noqa: B018 - loaded first, so that the time limit is of the work
    refuse_texts(problem.space, problem.task)
    rows = problem.shot_rows
    problem.check_images(rows, observer=observer)
    tell_small_classes(problem.task, problem.shots)
    captions = _captions_differ(problem)
    groups = list(_groups(problem, settings, captions=captions))
    searches = captions and effort.trials > 0 and _splits(problem)
    observer.begin(Stage.COMPARE, len(groups) + searches)
    found: list[Evidence] = []
    judge = _Judge(problem, tuple(rows), folder)

    def left() -> float:
        limit = settings.time_limit
        return float("inf") if limit is None else limit - (time.monotonic() - started)

    for number, (name, group) in enumerate(groups, start=1):
        # The first group takes a second; without it there would be nothing to choose.
        if number > 1 and left() <= _expected(found, group):
            _tell_stopped(group)
            continue
        found += judge(name, group)
        best = ranked(found)[0]
        observer.advance(Stage.COMPARE, number, {"best": best.accuracy}, best.candidate.name)
    observer.end(Stage.COMPARE)
    if searches:
        known = {each.candidate.architecture for each in found}
        budget = SearchBudget(trials=effort.trials, seconds=_seconds(left()))
        if left() <= 0:
            warnings.warn("the time is up, so no lengths were searched", DplWarning, stacklevel=2)
        else:
            architecture = _search(problem, strategy, budget, folder, observer)
            if architecture not in known:
                found += judge("found", _prompted("found", architecture))
    found = ranked(found)
    made = make_candidates(problem, [found[0].candidate], rows)[0]
    judged = _judged(judge, found[0], left())
    return Fit(problem, made, tuple(found), judged, tuple(rows), time.monotonic() - started)


@dataclass(frozen=True)
class _Judge:
    """Cross-fitting of candidates that are made together; kept in a folder, if there is one."""

    problem: Problem
    rows: tuple[int, ...]
    folder: Path | None

    def __call__(self, name: str, group: Sequence[Candidate], folds: int = 2) -> list[Evidence]:
        """Return the evidence of a group, which is made unless the folder has it."""
        if self.folder is None:
            return cross_fit(self.problem, group, self.rows, folds=folds)
        file = self.folder / f"{name}.safetensors"
        identity = _identity(self.problem, group)
        if file.exists():
            return load_evidence(file, group, identity)
        evidence = cross_fit(self.problem, group, self.rows, folds=folds)
        save_evidence(file, evidence, identity)
        return evidence


def _judged(judge: _Judge, chosen: Evidence, left: float) -> Evidence:
    """Judge what was chosen by more folds, if there are so many seconds left."""
    folds = _FOLDS_OF_CONTEXTS if chosen.candidate.trains_towers else _FOLDS
    if left > folds * chosen.seconds:
        return judge("judged", [chosen.candidate], folds)[0]
    warnings.warn(
        "the time is up, so probabilities are calibrated by halves of the pictures, and a little "
        "too small",
        DplWarning,
        stacklevel=3,
    )
    return chosen


def _identity(problem: Problem, group: Sequence[Candidate]) -> str:
    """A digest of all that decides the evidence of candidates beside their names."""
    parts = {
        "images": problem.digest(),
        "space": problem.space.model_dump(mode="json"),
        "recipe": problem.recipe.model_dump(mode="json"),
        "weights": problem.backbone.fingerprint,
        "seed": problem.seed,
        "methods": [each.method.model_dump(mode="json") for each in group if each.method],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _groups(
    problem: Problem, settings: FitSettings, *, captions: bool
) -> Iterator[tuple[str, list[Candidate]]]:
    """Yield the candidates that are made together, cheap ones first."""
    probes = [
        Candidate(f"linear probe, {each:g}", captions=False, strength=each) for each in STRENGTHS
    ]
    if not captions:
        yield "plain", probes
        yield from _of_methods(_without_captions(settings))
        return
    has_text = problem.backbone.classes_by == "captions"
    plain, start = ("zero-shot", "captions") if has_text else ("class means", "class means")
    both = [Candidate(f"{start} and pictures, {each:g}", strength=each) for each in STRENGTHS]
    yield "plain", [Candidate(plain), *probes, *both]
    designs = list(portfolio(problem.space).items())[: PRESETS[settings.preset].designs]
    if designs:
        yield "designs", [each for name, design in designs for each in _prompted(name, design)]
    yield from _of_methods(settings.methods if has_text else _without_captions(settings))


def _of_methods(methods: Sequence[MethodConfig]) -> Iterator[tuple[str, list[Candidate]]]:
    for number, each in enumerate(methods, start=1):
        yield f"method-{number}", [Candidate(f"method {each.name}", method=each)]


def _without_captions(settings: FitSettings) -> list[MethodConfig]:
    """The methods that need no captions; a warning names each of the others."""
    made = settings.make_methods()
    return [each for each in settings.methods if not _captioned(made[each.name])]


def _captioned(method: Method) -> bool:
    """Whether a method needs captions that differ; if so, a warning says that it is left out."""
    if isinstance(method, FeatureMethod) and method.captions == "none":
        return False
    warnings.warn(
        f"{method.title} needs captions that tell classes apart, so it is left out",
        DplWarning,
        stacklevel=3,
    )
    return True


def _prompted(name: str, design: Architecture) -> list[Candidate]:
    """The candidates of lengths: with the head of the captions, and with one fitted to pictures."""
    fitted = Candidate(f"{name}, and pictures", design, strength=_STRENGTH)
    return [Candidate(name, design), fitted]


def _captions_differ(problem: Problem) -> bool:
    """Whether the text tower can tell the classes apart; else a warning says so."""
    try:
        check_captions(problem.backbone, problem.task)
    except TaskError as error:
        warnings.warn(
            f"{error}. Without that, only the pictures tell the classes apart, so only linear "
            "probes are tried",
            DplWarning,
            stacklevel=3,
        )
        return False
    return True


def _splits(problem: Problem) -> bool:
    """Whether there are images to train on and to validate on, as a search needs."""
    if problem.shots > 1:
        return True
    warnings.warn(
        "one picture a class is too few to search lengths, so manual designs are compared only",
        DplWarning,
        stacklevel=3,
    )
    return False


def _expected(found: Sequence[Evidence], group: Sequence[Candidate]) -> float:
    """Seconds that a group will take at least: as far as that is known."""
    if any(each.method is not None for each in group):
        return 0.0
    trained = [each.seconds for each in found if each.candidate.architecture is not None]
    return len(group) * min(trained, default=0.0)


def _tell_stopped(group: Sequence[Candidate]) -> None:
    names = ", ".join(each.name for each in group)
    warnings.warn(f"the time is up, so these were not tried: {names}", DplWarning, stacklevel=3)


def _seconds(left: float) -> float | None:
    return None if left == float("inf") else max(1.0, _SEARCH_SHARE * left)


def _search(
    problem: Problem,
    strategy: StrategyConfig,
    budget: SearchBudget,
    folder: Path | None,
    observer: Observer,
) -> Architecture:
    # NNI takes seconds to import.
    from dpl_nas.strategy import make_strategy

    place = None if folder is None else folder / "search"
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
    result = make_strategy(strategy).search(problem, budget, folder=place, observer=observer)
    return result.architecture


def shots_of(task: Task, shots: int | Literal["all"]) -> int:
    """Return the shots of a fit: as many as are asked for, but no more than the largest class has.

    Raises
    ------
    ConfigError
        If it is neither a whole number of 1 or more nor ``all``.
    """
    if shots != "all" and (not isinstance(shots, int) or isinstance(shots, bool) or shots < 1):
        raise ConfigError(
            f"shots: expected a whole number of 1 or more, or 'all', found {abbreviate(shots)}"
        )
    most = max(Counter(task.train.labels).values(), default=1)
    return most if shots == "all" else min(shots, most)


def parse_seconds(text: float | str | None) -> float | None:
    """Return the seconds of a number, or of a text such as ``90s``, ``10m`` or ``1.5h``.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(text))
    if match is None or not float(match[1]):
        raise ConfigError(f"expected a time such as 90s, 10m or 1h, found {abbreviate(text)}")
    return float(match[1]) * _UNITS.get(match[2], 1.0)
