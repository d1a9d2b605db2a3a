"""A diagnostic: whether the scores that a search goes by rank architectures as the test does."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dpl_nas.config import DartsSettings, RunConfig, load_strategy
from dpl_nas.console import watched
from dpl_nas.diagnostics.separation import draw_architectures
from dpl_nas.diagnostics.truth import check_folder, train_and_test
from dpl_nas.engine import Evaluation, Outcome, StopReason, TrialEngine, TrialSettings
from dpl_nas.errors import StrategyError
from dpl_nas.io.arguments import checked
from dpl_nas.io.files import write_json
from dpl_nas.io.paths import AnyPath
from dpl_nas.io.reprs import short_repr
from dpl_nas.observer import Observer
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Architecture, Space, label_of
from dpl_nas.strategy import DARTS, Found, OneShot, Search, SearchResult
from dpl_nas.strategy.logits import log_softmax
from dpl_nas.strategy.one_shot import measure_shared, train_supernet
from dpl_nas.strategy.supernet.images import Supernet
from dpl_nas.training.problem import Problem

__all__ = ["Agreement", "Choice", "Ranking", "kendall", "kendall_tau", "rank_proxies"]

_RESAMPLES = 2000


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau between a proxy and the test accuracy, with a 95% bootstrap interval."""

    proxy: str
    seed: int
    tau: float
    low: float
    high: float

    __repr__ = short_repr


@dataclass(frozen=True)
class Choice:
    """The choice of a differentiable search of one seed, and the random architectures.

    Accuracies are shares in 0..1 on the test set. ``best_random`` is the result of random search
    at equal cost: of as many random architectures as the search's steps could have trained, the
    one with the best validation accuracy.
    """

    seed: int
    accuracy: float
    median_random: float
    best_random: float
    trials: int

    __repr__ = short_repr

    @property
    def beats_median(self) -> bool:
        """Whether the choice is better than half of the random architectures."""
        return self.accuracy > self.median_random

    @property
    def beats_best(self) -> bool:
        """Whether the choice is better than random search at equal cost."""
        return self.accuracy > self.best_random


@dataclass(frozen=True)
class Ranking:
    """The search with the choice."""

    task: str
    space: str
    architectures: int
    agreements: tuple[Agreement, ...]
    choices: tuple[Choice, ...]

    __repr__ = short_repr

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **asdict(self),
            "beats_median": sum(each.beats_median for each in self.choices),
            "beats_best": sum(each.beats_best for each in self.choices),
        }


@checked()
def rank_proxies(
    config: RunConfig,
    folder: AnyPath,
    *,
    architectures: int = 60,
    search_seeds: Sequence[int] = (1, 2, 3),
    epochs: int | None = None,
    jobs: int = 1,
    observer: Observer | None = None,
    quiet: bool = False,
) -> Ranking:
    """Test random architectures, and compare their ranks with those of the proxies of searches.

    The proxies are the validation accuracy, the log-likelihood and their sum (which searches go by)
    of a trial of all epochs and of one of ``epochs``; and for each search seed the sum of
    log softmax(alpha) of DARTS, and the score with the vectors of a one-shot supernet.
    Architectures are trained, validated and tested with the shots of ``config.seed``; each search
    has the shots of its own seed.

    Parameters
    ----------
    epochs
        Epochs of a short trial; by default those of ``search.trial_share``.
    observer
        Observer that is told of the progress instead of the terminal or notebook.
    quiet
        Whether to draw no progress.

    Raises
    ------
    StrategyError
        If the strategy of ``config`` is not differentiable.
    OutputError
        If ``folder`` holds another search, or cannot be written.
    """
    settings = config.strategy.search
    if not isinstance(settings, DartsSettings):
        raise StrategyError(
            "the ranking diagnostic needs a strategy with alphas, found "
            f"{config.strategy.name}: give one such as darts"
        )
    with watched(observer, quiet=quiet) as watching:
        return _rank(
            config, settings, Path(folder), architectures, search_seeds, epochs, jobs, watching
        )


def _rank(
    config: RunConfig,
    settings: DartsSettings,
    folder: Path,
    architectures: int,
    search_seeds: Sequence[int],
    epochs: int | None,
    jobs: int,
    observer: Observer,
) -> Ranking:
    problem = Problem.of_run(config)
    chosen = draw_architectures(config.space, architectures, config.seed, least=3)
    check_folder(folder)
    searches = _search(settings, problem, folder, search_seeds, observer)
    pairs = [(each, config.seed) for each in chosen]
    pairs += [(search.architecture, config.seed) for search in searches.values()]
    tested = train_and_test(config, pairs, folder, jobs=jobs, observer=observer)
    truth = [each.accuracy for each in tested]
    of_random, of_choices = truth[: len(chosen)], truth[len(chosen) :]
    most = config.strategy.train.epochs
    if epochs is None:
        epochs = TrialSettings(problem, settings).epochs
    proxies: dict[tuple[str, int], list[float]] = {}
    for of_trial in sorted({most, min(epochs, most)}, reverse=True):
        trials = _trials(config, problem, folder, chosen, of_trial, jobs, observer)
        name = "a whole trial" if of_trial == most else f"{of_trial} epoch{'s' * (of_trial > 1)}"
        for measured, value in _MEASURED.items():
            proxies[f"{measured} of {name}", config.seed] = [
                -math.inf if each.outcome is None else value(each.outcome) for each in trials
            ]
    whole = proxies["accuracy + log-likelihood of a whole trial", config.seed]
    for seed, search in searches.items():
        proxies["log softmax(alpha)", seed] = [
            _likelihood(config.space, search, each) for each in chosen
        ]
        shared = _SharedScores(chosen)
        shared.search(
            problem.having(seed=seed),
            folder=folder / f"one_shot-{seed}",
            observer=observer,
        )
        proxies["one-shot supernet", seed] = shared.scores
    result = Ranking(
        task=config.task,
        space=config.space.name,
        architectures=len(chosen),
        agreements=tuple(
            Agreement(proxy, seed, *kendall(values, of_random, config.seed))
            for (proxy, seed), values in proxies.items()
        ),
        choices=tuple(
            _choice(seed, search, accuracy, of_random, whole)
            for (seed, search), accuracy in zip(searches.items(), of_choices, strict=True)
        ),
    )
    write_json(folder / "ranking.json", result.as_dict())
    return result


class _SharedScores(OneShot):
    """Scores of architectures with the vectors of a supernet."""

    name = "one_shot scores"

    def __init__(self, architectures: Sequence[Architecture]) -> None:
        settings = load_strategy("one_shot").search.model_dump(mode="json")
        super().__init__(**{**settings, "portfolio": 0})
        self._architectures = architectures
        self.scores: list[float] = []

    def explore(self, search: Search) -> Found:
        """Train the supernet, and validate each architecture with its vectors."""
        supernet = Supernet(search, self.settings)
        clip = train_supernet(search, supernet, self.settings)
        self.scores = [
            measure_shared(search, supernet, clip, each).score for each in self._architectures
        ]
        best = max(range(len(self.scores)), key=self.scores.__getitem__)
        return Found(self._architectures[best], stopped_by=StopReason.EPOCHS)


#: What may be taken of a validation.
_MEASURED: dict[str, Callable[[Outcome], float]] = {
    "accuracy + log-likelihood": lambda outcome: outcome.score,
    "accuracy": lambda outcome: outcome.accuracy,
    "log-likelihood": lambda outcome: -outcome.loss,
}


def _trials(
    config: RunConfig,
    problem: Problem,
    folder: Path,
    architectures: Sequence[Architecture],
    epochs: int,
    jobs: int,
    observer: Observer,
) -> list[Evaluation]:
    """Trials of so many epochs, kept in a ledger."""
    share = epochs / config.strategy.train.epochs
    search = config.strategy.search.model_copy(update={"trial_share": share})
    engine = TrialEngine(
        TrialSettings(problem, search),
        None,
        folder=folder / f"trials-{epochs}",
        jobs=jobs,
        stage=f"trials of {epochs} epochs",
        observer=observer,
    )
    with engine:
        return engine.evaluate(architectures)


def _search(
    settings: DartsSettings,
    problem: Problem,
    folder: Path,
    seeds: Sequence[int],
    observer: Observer,
) -> dict[int, SearchResult]:
    """Search by DARTS with each seed; the alphas alone choose."""
    alone = settings.alphas_alone().model_dump(mode="json")
    return {
        seed: DARTS(**alone).search(
            problem.having(seed=seed),
            folder=folder / f"darts-{seed}",
            observer=observer,
        )
        for seed in seeds
    }


def _likelihood(space: Space, search: SearchResult, architecture: Architecture) -> float:
    """The sum over layers of log softmax(alpha) of the architecture's lengths."""
    total = 0.0
    for tower, layer, length in architecture.items():
        scores = log_softmax(search.alphas[label_of(tower, layer)])
        total += scores[space.towers[tower].lengths.index(length)]
    return total


def _choice(
    seed: int,
    search: SearchResult,
    accuracy: float,
    of_random: Sequence[float],
    whole: Sequence[float],
) -> Choice:
    """Compare a choice with random search that has as many trials as the search's steps pay."""
    trials = max(1, search.cost.steps // search.trial_steps)
    rows = random.Random(derive_seed(seed, "equal cost")).sample(
        range(len(whole)), min(trials, len(whole))
    )
    best = max(rows, key=lambda row: whole[row])
    return Choice(seed, accuracy, float(np.median(of_random)), of_random[best], trials)


def kendall(
    proxy: Sequence[float], truth: Sequence[float], seed: int
) -> tuple[float, float, float]:
    """Kendall's tau-b, and a 95% percentile bootstrap interval over architectures."""
    first, second = np.asarray(proxy), np.asarray(truth)
    rng = np.random.default_rng(derive_seed(seed, "kendall"))
    count = len(first)
    draws = (rng.integers(count, size=count) for _ in range(_RESAMPLES))
    resampled = [kendall_tau(first[rows], second[rows]) for rows in draws]
    low, high = np.quantile(resampled, [0.025, 0.975])
    return kendall_tau(first, second), float(low), float(high)


def kendall_tau(proxy: Any, truth: Any) -> float:
    """Kendall's tau-b; 0 if a proxy is equal for all and so has no ranks."""
    from scipy.stats import kendalltau

    value = kendalltau(proxy, truth).statistic
    return 0.0 if np.isnan(value) else float(value)
