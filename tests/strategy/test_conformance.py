"""Every strategy keeps the rules of all strategies."""

from typing import Any, ClassVar

from nni.nas import strategy as nni_strategy

from dpl_nas.config import STRATEGIES
from dpl_nas.search_budget import SearchBudget
from dpl_nas.space.fitting import portfolio
from dpl_nas.strategy import Search, Strategy, from_nni
from dpl_nas.strategy.registry import strategy_class
from dpl_nas.testing import StrategyConformance, Whole, small_space

SUPERNET = {"epochs": 2, "batch_size": 2}


class Named(StrategyConformance):
    name: ClassVar[str]
    settings: ClassVar[dict[str, Any]] = {}

    def make(self, **settings: Any) -> Strategy:
        return strategy_class(self.name)(**{**self.settings, **settings})


class TestRandom(Named):
    name = "random"


class TestEvolution(Named):
    name = "evolution"
    settings: ClassVar[dict[str, Any]] = {"population_size": 3, "sample_size": 2}


class TestBayesian(Named):
    name = "bayesian"
    settings: ClassVar[dict[str, Any]] = {"startup_trials": 4}


class TestTPE(Named):
    name = "tpe"
    settings: ClassVar[dict[str, Any]] = {"startup_trials": 2, "candidates": 4}


class TestGrid(Named):
    name = "grid"
    space = small_space(1)
    tight_budgets = (SearchBudget(trials=5), SearchBudget(steps=22))


class TestHalving(Named):
    name = "halving"
    settings: ClassVar[dict[str, Any]] = {"min_epochs": 1, "eta": 2}


class TestManual(Named):
    name = "manual"


class TestOneShot(Named):
    name = "one_shot"
    settings: ClassVar[dict[str, Any]] = {
        **SUPERNET,
        "population_size": 3,
        "generations": 1,
        "shortlist": 2,
    }


class TestDARTS(Named):
    name = "darts"
    settings: ClassVar[dict[str, Any]] = SUPERNET


class TestDARTSWithAShortlist(Named):
    name = "darts"
    settings: ClassVar[dict[str, Any]] = {
        **SUPERNET,
        "shortlist": 3,
        "warmup_epochs": 1,
        "constraint": {"anneal": 0.5},
    }


class TestDARTSWithAPortfolio(TestDARTS):
    """Its choice is compared with manual designs."""

    def make(self, **settings: Any) -> Strategy:
        return super().make(**{"portfolio": 2, **settings})

    def test_it_is_compared(self, whole: Whole) -> None:
        tried = [each.architecture for each in whole.result.evaluations]
        designs = list(portfolio(self.space).values())
        assert tried[: len(tried) - 1] == designs[: len(tried) - 1]
        assert whole.result.architecture in tried


class TestDARTSWithChildren(Named):
    name = "darts"
    settings: ClassVar[dict[str, Any]] = {**SUPERNET, "shortlist": 2, "children": 3, "guided": True}


class TestDARTSWithFinals(Named):
    name = "darts"
    settings: ClassVar[dict[str, Any]] = {**SUPERNET, "shortlist": 6, "finalists": 2}


class TestGumbelDARTS(Named):
    name = "gumbel_darts"
    settings: ClassVar[dict[str, Any]] = {**SUPERNET, "shortlist": 2}


class TestAdapt(Named):
    name = "adapt"
    settings: ClassVar[dict[str, Any]] = {**SUPERNET, "stages": 2, "shortlist": 2}


class TestProVpt(Named):
    name = "pro_vpt"
    settings: ClassVar[dict[str, Any]] = {**SUPERNET, "shortlist": 2}


class TestOneTower(Named):
    name = "one_tower"

    def test_the_better_tower_has_the_rest(self, whole: Whole) -> None:
        text, image, *others = whole.result.evaluations
        towers = [
            {tower for tower, _, length in each.architecture.items() if length}
            for each in (text, image, *others)
        ]
        assert towers[:2] == [{"text"}, {"image"}]
        better = towers[0] if text.score >= image.score else towers[1]
        assert others
        assert all(each == better for each in towers[2:])


class TestNniRandom(StrategyConformance):
    refuses_settings = False

    def make(self, **settings: Any) -> Strategy:
        return from_nni(nni_strategy.Random(**settings))


class TestNniEvolution(StrategyConformance):
    refuses_settings = False

    def make(self, **settings: Any) -> Strategy:
        own = {"population_size": 3, "sample_size": 2, "mutation_prob": 0.5}
        return from_nni(nni_strategy.RegularizedEvolution(**{**own, **settings}))


class TestNniPaths(StrategyConformance):
    """Draws from generators of its own, paths without any vector among them."""

    def make(self, **settings: Any) -> Strategy:
        return from_nni(nni_strategy.RandomOneShot(**settings))


class TestNniDARTS(StrategyConformance):
    def make(self, **settings: Any) -> Strategy:
        return from_nni(nni_strategy.DARTS(**settings))


class Climber(Strategy):
    """As a user would write one: change one thing, keep what is better."""

    name = "climber"

    def explore(self, search: Search) -> None:
        from dpl_nas.space import fitting

        rng = search.rng("climber")
        best = search.evaluate([fitting.sample(search.space, rng)])
        while best and search.affords():
            tried = search.evaluate([fitting.mutate(search.space, best[0].architecture, rng)])
            best = sorted([*best, *tried], key=lambda each: -each.score)[:1]


class TestClimber(StrategyConformance):
    def make(self, **settings: Any) -> Strategy:
        return Climber(**settings)


def test_every_strategy_is_held_to_the_rules() -> None:
    assert {kind.name for kind in Named.__subclasses__()} == set(STRATEGIES)
