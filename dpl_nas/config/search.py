"""The settings of each strategy as frozen values, and the names of the strategies."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Self

from pydantic import ConfigDict, Field, model_validator

from dpl_nas.config.training import OptimizerSettings, PromptInit
from dpl_nas.config.values import (
    Augmentation,
    Beta,
    NotNegative,
    Positive,
    Share,
    Size,
    SizeOrZero,
    TextTemplate,
)
from dpl_nas.io.validation import Frozen, Number, Truth

__all__ = [
    "STRATEGIES",
    "AdaptSettings",
    "AlphaSettings",
    "BayesianSettings",
    "Constraint",
    "DartsSettings",
    "EarlyStop",
    "EvolutionSettings",
    "GridSettings",
    "GumbelDartsSettings",
    "HalvingSettings",
    "ManualSettings",
    "OneShotSettings",
    "OneTowerSettings",
    "ProVptSettings",
    "RandomSettings",
    "Registered",
    "SearchSettings",
    "SupernetSettings",
    "Temperature",
    "TpeSettings",
    "UserSettings",
]


class SearchSettings(Frozen):
    """Settings that all strategies share: validation images, epochs of trials, manual designs.

    ``validation: split`` takes the validation images from the stated shots (``validation_shots``
    per class, by default half of them); ``extra`` draws ``validation_shots`` (by default
    min(shots, 4)) more per class, as published, so the search sees more labels than the stated
    shots.

    A trial trains an architecture for the share ``trial_share`` of the recipe's epochs: to rank
    architectures takes fewer than to train one. A budget of trials counts whole trainings, so it
    pays for more trials then.

    A search begins with so many designs of the ``portfolio`` of manual designs, but spends at most
    a third of its budget on them. They count among its trials, so what it finds has been compared
    with them.

    At the end, the best trials, as many as ``finalists``, are made again with the two halves of the
    shots in exchange, for a fifth of the budget at most; what does best on both halves is chosen.
    There are no finals where the shots are not split in halves.

    In a space without limits, the usual design (4 everywhere, the first of the portfolio) is chosen
    if it was tried and the best is at most ``margin`` standard errors ahead of it.
    """

    validation: Literal["split", "extra"] = "split"
    validation_shots: Positive | None = None
    trial_share: Number = Field(default=1.0, gt=0, le=1)
    portfolio: NotNegative = 0
    finalists: NotNegative = 0
    margin: SizeOrZero = 0.0

    @property
    def of_trials(self) -> dict[str, Any]:
        """Those settings that decide the result of a trial: the others say which trials to make."""
        return {
            "validation": self.validation,
            "validation_shots": self.validation_shots,
            "trial_share": self.trial_share,
        }


class RandomSettings(SearchSettings):
    """Random search: architectures drawn uniformly, each once."""


class EvolutionSettings(SearchSettings):
    """Regularised evolution (Real et al. 2019, arXiv 1802.01548).

    The first ``population_size`` architectures are random. A child is made from the best of
    ``sample_size`` (with ``crossover`` of two such parents): ``mutated_layers`` of its layers
    are drawn anew.
    """

    population_size: Positive = 10
    sample_size: Positive = 4
    mutated_layers: Positive = 2
    crossover: Truth = True

    @model_validator(mode="after")
    def _sampled_from_it(self) -> EvolutionSettings:
        if self.sample_size > self.population_size:
            raise ValueError("expected sample_size to be at most population_size")
        return self


class BayesianSettings(SearchSettings):
    """Bayesian optimisation: children of the best trials, chosen by a Gaussian process.

    The first ``startup_trials`` architectures are random.
    """

    startup_trials: Positive = 8


class TpeSettings(SearchSettings):
    """The tree-structured Parzen estimator (Bergstra et al. 2011).

    After ``startup_trials`` random ones, each is the most promising of ``candidates`` draws;
    ``gamma`` * sqrt(trials) of the best count as good, ``prior_weight`` is how many trials the
    space itself counts for.
    """

    startup_trials: Positive = 10
    candidates: Positive = 24
    gamma: Number = Field(default=0.5, gt=0, le=10)
    prior_weight: Number = Field(default=1.0, gt=0, le=1000)


class GridSettings(SearchSettings):
    """Grid search: every architecture of a small space, in random order if ``shuffle``."""

    shuffle: Truth = True


class HalvingSettings(SearchSettings):
    """Successive halving (Jamieson and Talwalkar 2016) over training epochs.

    All candidates are trained for ``min_epochs``, the best 1 / ``eta`` of them for ``eta``
    times as many, and so on up to full trainings. The budget decides the number of candidates.
    """

    eta: int = Field(default=3, ge=2, le=100, strict=True)
    min_epochs: Positive = 4


class ManualSettings(SearchSettings):
    """Manual designs: one length at all, the first or the last layers of towers."""


class OneTowerSettings(SearchSettings):
    """Manual designs of one tower: of the one whose first design validates better."""


class SupernetSettings(SearchSettings):
    """Training of the context vectors of all candidates at once.

    One prompt step takes one batch of training images.
    """

    epochs: Positive = 40
    batch_size: Positive = 16
    prompts: OptimizerSettings = OptimizerSettings()
    init: PromptInit = PromptInit()
    template: TextTemplate = "task"
    augmentation: Augmentation | Literal["task"] = "task"


class OneShotSettings(SupernetSettings):
    """One-shot search: a supernet trained on one uniform path per step, then evolution.

    Guo et al. 2020 (SPOS, arXiv 1904.00420). ``population_size``, ``generations`` and
    ``mutated_layers`` belong to the evolution, whose children are half mutations, half crossovers;
    the ``shortlist`` best by the supernet are trained, and the best of these is the result.
    """

    population_size: Positive = 24
    generations: Positive = 8
    mutated_layers: Positive = 2
    shortlist: Positive = 8


class AlphaSettings(Frozen):
    """Adam on the alphas, which start as ``init_sd`` * randn."""

    init_sd: SizeOrZero = 1e-3
    lr: Size = 3.5e-3
    betas: tuple[Beta, Beta] = (0.5, 0.999)
    weight_decay: SizeOrZero = 0.0


class EarlyStop(Frozen):
    """Stop when argmax(alpha) of every layer has not changed for ``patience`` epochs.

    It never stops before ``min_epochs``, and only if the mean entropy of softmax(alpha) is at most
    ``max_entropy`` (as a share of log(candidates), 1 = undecided).
    """

    patience: Positive = 10
    min_epochs: NotNegative = 0
    max_entropy: Number = Field(default=1.0, ge=0, le=1)


class Constraint(Frozen):
    """Keeps the expected cost of the relaxed choice within the limits of the space.

    Every step uses the exact multiplier of the Lagrangian
    (:mod:`dpl_nas.strategy.supernet.constraint`). For the share ``anneal`` of the epochs, the
    expected cost may be larger: it falls log-linearly from that of equal alphas to the limits.
    """

    anneal: Number = Field(default=0.0, ge=0, le=1)


class DartsSettings(SupernetSettings):
    """First-order DARTS over context lengths.

    One step = one alpha step on a validation batch, then one prompt step on a training batch.
    ``warmup_epochs`` come before the first alpha step. ``constraint`` acts in spaces with
    limits. The result is the most likely architecture. With a ``shortlist``, it is trained along
    with others drawn by their probability, as many as the shortlist and the budget allow. Then come
    up to ``children`` of the best trials so far, and the best of all trials is the result. If they
    are ``guided``, those are tried of which a Gaussian process of the trials promises most.
    """

    validation_batch_size: Positive = 32
    warmup_epochs: NotNegative = 0
    alphas: AlphaSettings = AlphaSettings()
    early_stop: EarlyStop | None = None
    constraint: Constraint | None = None
    shortlist: NotNegative = 0
    children: NotNegative = 0
    guided: Truth = False

    def alphas_alone(self) -> Self:
        """The same settings without trials, so that the alphas alone choose."""
        return self.model_copy(
            update={"portfolio": 0, "shortlist": 0, "children": 0, "finalists": 0}
        )


class Temperature(Frozen):
    """Temperature of the Gumbel softmax; it falls linearly from ``start`` to ``end``."""

    start: Size = 5.0
    end: Size = 0.5

    @model_validator(mode="after")
    def _falls(self) -> Temperature:
        if self.end > self.start:
            raise ValueError("expected end to be at most start")
        return self


class GumbelDartsSettings(DartsSettings):
    """DARTS with weights drawn by the Gumbel softmax (Xie et al. 2019, arXiv 1812.09926)."""

    temperature: Temperature = Temperature()


class AdaptSettings(SupernetSettings):
    """Pruning by saliency (ADAPT, Huang et al. 2026).

    All layers begin with the longest length. In ``stages`` of equal epochs, the least salient
    vectors are taken away until the rest fits; a space without a limit of vectors keeps the share
    ``keep`` of them. With a ``shortlist`` above 1, more architectures are trained beside what is
    left, as many as the shortlist and the budget allow.
    """

    stages: Positive = 8
    keep: Share = 0.5
    shortlist: Positive = 1


class ProVptSettings(SupernetSettings):
    """Relocation of vectors between layers (PRO-VPT, Shang et al. 2025, arXiv 2503.06901).

    The even design that fits is trained; a space without a limit of vectors begins with the share
    ``keep`` of them. ``every`` so many epochs, the most idle vector goes to another layer. The
    ``shortlist`` best of the designs on this way are trained, and the best of these is the result.
    """

    every: Positive = 1
    keep: Share = 0.5
    shortlist: Positive = 4


class UserSettings(SearchSettings):
    """Settings of a user's own strategy: they are passed to its class unchanged."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class Registered(NamedTuple):
    """A built-in strategy: its class in ``dpl_nas.strategy.<name>``, and its settings."""

    class_name: str
    settings: type[SearchSettings]


#: Registered strategies by the names that ``strategy:`` in a strategy file accepts.
STRATEGIES: dict[str, Registered] = {
    "adapt": Registered("Adapt", AdaptSettings),
    "bayesian": Registered("Bayesian", BayesianSettings),
    "darts": Registered("DARTS", DartsSettings),
    "evolution": Registered("Evolution", EvolutionSettings),
    "grid": Registered("Grid", GridSettings),
    "gumbel_darts": Registered("GumbelDARTS", GumbelDartsSettings),
    "halving": Registered("Halving", HalvingSettings),
    "manual": Registered("Manual", ManualSettings),
    "one_shot": Registered("OneShot", OneShotSettings),
    "one_tower": Registered("OneTower", OneTowerSettings),
    "pro_vpt": Registered("ProVpt", ProVptSettings),
    "random": Registered("Random", RandomSettings),
    "tpe": Registered("TPE", TpeSettings),
}
