import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dpl_nas
from dpl_nas.config import STRATEGIES, StrategyConfig, load_strategy
from dpl_nas.errors import ConfigError, DplError, StrategyError
from dpl_nas.search_budget import SearchBudget
from dpl_nas.strategy import Strategy, make_strategy
from dpl_nas.strategy.registry import strategy_class
from dpl_nas.testing import Bench, assert_sentence, small_space, story

MODULE = '''
from dpl_nas.config import SearchSettings
from dpl_nas.strategy import Strategy


class Settings(SearchSettings):
    steps: int = 2


class Shorter(Strategy):
    """Tries uniform designs, the shortest first."""

    Settings = Settings

    def explore(self, search):
        search.evaluate(search.space.uniform(length) for length in range(self.settings.steps))


class Odd(Strategy):
    def __init__(self):
        raise ValueError("no such thing")

    def explore(self, search):
        return None


class Exits(Strategy):
    def explore(self, search):
        raise SystemExit(0)


class Answers(Strategy):
    def explore(self, search):
        return 42


class Strings(Strategy):
    def explore(self, search):
        search.evaluate(["image 1"])


class Idle(Strategy):
    def explore(self, search):
        pass


class Nothing:
    pass


class Unfinished(Strategy):
    pass


function = print
broken = 1
'''


@pytest.fixture
def users_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module in the folder that the command is given in."""
    (tmp_path / "my_strategies.py").write_text(MODULE)
    (tmp_path / "broken_strategies.py").write_text("import no_such_module_anywhere\n")
    (tmp_path / "leaving_strategies.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield "my_strategies"
    sys.modules.pop("my_strategies", None)


def config(tmp_path: Path, strategy: str, search: dict[str, Any] | None = None) -> StrategyConfig:
    import yaml

    path = tmp_path / "mine.yml"
    path.write_text(yaml.safe_dump({"strategy": strategy, "search": search or {}}))
    return load_strategy(path)


def test_every_name_has_settings_and_a_class(tmp_path: Path) -> None:
    for name, (class_name, settings) in STRATEGIES.items():
        kind = strategy_class(name)
        assert kind is getattr(dpl_nas.strategy, class_name)
        assert kind.name == name
        assert kind.Settings is settings
        made = make_strategy(config(tmp_path, name, {"validation": "extra"}))
        assert isinstance(made, kind)
        assert made.settings == settings(validation="extra")


def test_a_packaged_strategy_by_its_name() -> None:
    packaged = load_strategy("darts")
    for made in (make_strategy("darts"), make_strategy(packaged)):
        assert made.settings == packaged.search
        assert made.default_budget == packaged.budget == SearchBudget(trials=8)
    # The class itself is plain DARTS.
    plain = dpl_nas.strategy.DARTS()
    assert plain.settings != packaged.search
    assert plain.default_budget is None
    with pytest.raises(StrategyError, match=r"unknown strategy 'dart': .*did you mean darts\?"):
        make_strategy("dart")


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(
        StrategyError,
        match="unknown strategy 'dart': give one of adapt, bayesian, darts, evolution",
    ):
        strategy_class("dart")
    for name in ("dart", "my.module", "my module:Class", "module:", ":Class", "a:b:c"):
        with pytest.raises(StrategyError, match=r"or package\.module:Class") as error:
            config(tmp_path, name)
        assert_sentence(error.value)


def test_a_class_of_a_user(bench: Bench, tmp_path: Path, users_module: str) -> None:
    name = f"{users_module}:Shorter"
    made = make_strategy(config(tmp_path, name, {"steps": 1, "validation_shots": 1}))
    assert isinstance(made, Strategy)
    # Two classes of users may share a name; results and ledgers tell them apart by this one.
    assert made.name == name
    result = made.search(
        small_space(),
        bench.task,
        SearchBudget(trials=3),
        shots=4,
        train=load_strategy("random").train.model_copy(update={"epochs": 1}),
        backbone=bench.backbone,
    )
    assert result.strategy == name
    assert len(result.evaluations) == 1
    # Three of four shots train, one validates.
    assert result.evaluations[0].outcome is not None
    assert result.evaluations[0].outcome.images == 2


@pytest.mark.parametrize(
    ("attribute", "search", "kind", "complaint"),
    [
        ("Shorter", {"stepps": 1}, ConfigError, "unknown key stepps"),
        ("Shorter", {"steps": "many"}, ConfigError, "steps: .*found 'many'"),
        ("Shorter", {"validation_shots": 0}, StrategyError, "validation_shots"),
        ("Odd", {}, StrategyError, r"cannot be made .*(TypeError|ValueError)"),
        ("Nothing", {}, StrategyError, "should be a subclass of dpl_nas.strategy.base.Strategy"),
        ("function", {}, StrategyError, "should be a subclass"),
        ("broken", {}, StrategyError, "should be a subclass"),
        ("Missing", {}, StrategyError, "cannot be imported .*AttributeError"),
        ("Unfinished", {}, StrategyError, "cannot be made .*abstract"),
    ],
)
def test_classes_that_will_not_do(
    tmp_path: Path,
    users_module: str,
    attribute: str,
    search: dict[str, Any],
    kind: type[DplError],
    complaint: str,
) -> None:
    with pytest.raises(kind, match=complaint) as error:
        make_strategy(config(tmp_path, f"{users_module}:{attribute}", search))
    assert_sentence(error.value)


def test_modules_that_will_not_do(tmp_path: Path, users_module: str) -> None:
    for name, complaint in (
        ("no_such_module_at_all:Class", "ModuleNotFoundError"),
        ("broken_strategies:Class", "no_such_module_anywhere"),
    ):
        with pytest.raises(StrategyError, match=f"cannot be imported .*{complaint}") as error:
            make_strategy(config(tmp_path, name))
        assert_sentence(error.value)


def test_a_class_of_nni(bench: Bench, tmp_path: Path) -> None:
    def search(text: str, seed: int = 1, **settings: Any) -> Any:
        made = make_strategy(config(tmp_path, text, settings))
        return made.search(
            small_space(),
            bench.task,
            SearchBudget(trials=3),
            shots=4,
            seed=seed,
            train=load_strategy("random").train.model_copy(update={"epochs": 1}),
            backbone=bench.backbone,
        )

    name = "nni.nas.strategy:Random"
    found = search(name, dedup=True, validation="extra", validation_shots=2)
    assert found.strategy == "nni:nni.nas.strategy.bruteforce.Random"
    assert len(found.evaluations) == 3
    # Four shots train, two more a class validate.
    assert found.labels_seen == 12
    assert make_strategy(config(tmp_path, name, {"portfolio": 2})).settings.portfolio == 2
    # NNI would begin anywhere; here the seed decides.
    assert story(search(name)) == story(search(name)) != story(search(name, seed=2))
    with pytest.raises(
        StrategyError, match="cannot be made with the settings population_size, sample_size"
    ) as error:
        search("nni.nas.strategy:RegularizedEvolution", population_size=2, sample_size=5)
    assert_sentence(error.value)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("Exits", "tried to end the program .exit code 0."),
        ("Answers", "should return a Found or None, found int"),
        ("Strings", "expected an Architecture, .* found str"),
        ("Idle", "evaluated no architecture and chose none"),
    ],
)
def test_what_a_users_strategy_must_not_do(
    tmp_path: Path, users_module: str, bench: Bench, name: str, complaint: str
) -> None:
    made = make_strategy(config(tmp_path, f"{users_module}:{name}"))
    with pytest.raises(DplError, match=complaint) as error:
        made.search(small_space(), bench.task, shots=4, backbone=bench.backbone)
    assert_sentence(error.value)


def test_a_module_that_ends_the_program(tmp_path: Path, users_module: str) -> None:
    with pytest.raises(StrategyError, match=r"cannot be imported .SystemExit"):
        make_strategy(config(tmp_path, "leaving_strategies:Any"))
