from typing import Any

import pytest

from dpl_nas.bench import BenchPlan
from dpl_nas.errors import BenchError, ConfigError
from dpl_nas.io.validation import validate
from dpl_nas.methods.ivlp import Ivlp
from dpl_nas.space import Space


def plan_of(small_space: Space, **values: Any) -> BenchPlan:
    given = {"tasks": ["a", "b"], "methods": ["zero-shot", "ivlp"], "space": small_space, **values}
    return validate(BenchPlan, given, "bench", BenchError)


def test_a_protocol_says_what_is_learned_and_tested(small_space: Space) -> None:
    def told(**values: Any) -> list[tuple[str, str, list[tuple[str, str]]]]:
        plan = plan_of(small_space, methods=["ivlp"], seeds=[1], **values)
        return [
            (job.task, job.classes, [(each.task, each.classes) for each in job.tests])
            for job in plan.jobs()
        ]

    assert told() == [("a", "all", [("a", "all")]), ("b", "all", [("b", "all")])]
    assert told(protocol="base-to-new") == [
        ("a", "base", [("a", "base"), ("a", "new")]),
        ("b", "base", [("b", "base"), ("b", "new")]),
    ]
    for protocol in ("cross-dataset", "domain-generalization"):
        assert told(protocol=protocol) == [("a", "all", [("a", "all"), ("b", "all")])]


def test_an_interrupted_bench_has_run_all_methods_equally_often(small_space: Space) -> None:
    jobs = plan_of(small_space, shots=[1, 2], seeds=[3, 1]).jobs()
    assert [job.seed for job in jobs] == [3] * 8 + [1] * 8
    assert [job.method for job in jobs[:4]] == ["zero-shot", "ivlp"] * 2
    assert len({job.place for job in jobs}) == len(jobs)


def test_recipes(small_space: Space) -> None:
    def recipe(**values: Any) -> Any:
        method = plan_of(small_space, **values).method("ivlp")
        assert isinstance(method, Ivlp)
        return method.recipe

    assert recipe() == "published"
    assert recipe(recipe="problem") == "problem"
    # What is said of one method counts.
    own = recipe(recipe="problem", settings={"ivlp": {"recipe": {"epochs": 3}}})
    assert own.epochs == 3
    assert plan_of(small_space, recipe="problem").method("zero-shot")


def test_the_identity_has_all_that_decides(small_space: Space) -> None:
    plan = plan_of(small_space)
    job = plan.jobs()[1]
    same = plan_of(small_space, tasks=["a", "b", "c"], methods=["ivlp"], seeds=[1, 2])
    assert same.identity(job) == plan.identity(job)
    for changed in (
        {"settings": {"ivlp": {"length": 3}}},
        {"recipe": "problem"},
        {"train": {"epochs": 3}},
        {"data": "elsewhere"},
        {"device": "cuda"},
        {"protocol": "base-to-new"},
    ):
        assert plan_of(small_space, **changed).identity(job) != plan.identity(job), changed


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"tasks": []}, "tasks"),
        ({"methods": []}, "methods"),
        ({"methods": ["ivlp", "ivlp"]}, "expected each once, found ivlp twice"),
        ({"shots": [0]}, "expected 1 or more, found 0"),
        ({"seeds": [-1]}, "expected 0 or more, found -1"),
        ({"tasks": ["a"], "protocol": "cross-dataset"}, "give two or more"),
        ({"settings": {"coop": {}}}, "settings for coop, which is not among the methods"),
        ({"tasks": ["a/b", "a_b"]}, "two cells would have the folder"),
        ({"protocol": "few"}, "protocol"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(
    values: dict[str, Any], said: str, small_space: Space
) -> None:
    with pytest.raises(BenchError, match=said):
        plan_of(small_space, **values)


def test_unknown_methods_and_settings_are_refused(small_space: Space) -> None:
    with pytest.raises(ConfigError, match="unknown method 'tip'"):
        plan_of(small_space, methods=["tip"]).method("tip")
    with pytest.raises(ConfigError, match="lenght"):
        plan_of(small_space, settings={"ivlp": {"lenght": 3}}).method("ivlp")
