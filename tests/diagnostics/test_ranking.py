import json
from pathlib import Path

import pytest
from scipy.stats import kendalltau

from dpl_nas.config import RunConfig
from dpl_nas.diagnostics import measure_separation, rank_proxies
from dpl_nas.diagnostics.ranking import kendall
from dpl_nas.errors import StrategyError


def test_tau_is_scipys() -> None:
    proxy, truth = [1.0, 2.0, 2.0, 4.0, 3.0], [0.1, 0.3, 0.2, 0.5, 0.4]
    tau, low, high = kendall(proxy, truth, seed=1)
    assert tau == pytest.approx(kendalltau(proxy, truth).statistic)
    assert low <= tau <= high


def test_a_proxy_without_differences_ranks_nothing() -> None:
    assert kendall([1.0] * 6, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], seed=1) == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_whole_study(run_config: RunConfig, tmp_path: Path) -> None:
    # Trials of a search say nothing of its alphas, so there are none.
    search = run_config.strategy.search.model_copy(update={"portfolio": 2, "shortlist": 2})
    strategy = run_config.strategy.model_copy(update={"search": search})
    config = run_config.model_copy(update={"strategy": strategy})
    found = rank_proxies(config, tmp_path, architectures=5, search_seeds=[3, 4], epochs=1)
    assert found.architectures == 5
    proxies = [each.proxy for each in found.agreements]
    assert proxies.count("log softmax(alpha)") == 2
    for name in ("accuracy", "log-likelihood", "accuracy + log-likelihood"):
        assert f"{name} of a whole trial" in proxies
        assert f"{name} of 1 epoch" in proxies
    assert all(-1 <= each.low <= each.tau <= each.high <= 1 for each in found.agreements)
    assert [each.seed for each in found.choices] == [3, 4]
    assert json.loads((tmp_path / "ranking.json").read_text())["architectures"] == 5
    for name in ("darts-3", "one_shot-3"):
        assert '"lengths"' not in (tmp_path / name / "ledger.jsonl").read_text().split("\n", 1)[1]
    lines = (tmp_path / "tested.jsonl").read_text().splitlines()
    # A diagnostic that is complete does nothing again, and says the same.
    assert rank_proxies(config, tmp_path, architectures=5, search_seeds=[3, 4], epochs=1) == found
    assert (tmp_path / "tested.jsonl").read_text().splitlines() == lines


def test_only_differentiable_strategies_have_alphas(run_config: RunConfig, tmp_path: Path) -> None:
    data = run_config.model_dump(mode="json")
    data["strategy"] = {"name": "random", "strategy": "random"}
    with pytest.raises(StrategyError, match="needs a strategy with alphas"):
        rank_proxies(RunConfig.model_validate(data), tmp_path)


def test_separation_goes_on(run_config: RunConfig, tmp_path: Path) -> None:
    first = measure_separation(run_config, tmp_path, configurations=3, seeds=2)
    assert (first.configurations, first.seeds) == (3, 2)
    lines = (tmp_path / "tested.jsonl").read_text().splitlines()
    assert len(lines) == 1 + 6
    more = measure_separation(run_config, tmp_path, configurations=4, seeds=2)
    # What was trained before is kept; only the fourth is trained.
    assert (tmp_path / "tested.jsonl").read_text().splitlines()[:7] == lines
    assert len((tmp_path / "tested.jsonl").read_text().splitlines()) == 1 + 8
    assert more.configurations == 4
