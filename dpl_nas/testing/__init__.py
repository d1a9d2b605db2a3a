"""Conformance tests of strategies and methods, to inherit; they need pytest and no data.

>>> from dpl_nas.testing import StrategyConformance  # doctest: +SKIP
>>> class TestMine(StrategyConformance):  # doctest: +SKIP
...     def make(self, **settings):
...         return Mine(**settings)

For readable assertions, ``pytest.register_assert_rewrite("dpl_nas.testing")`` in a
``conftest.py``, before anything imports this module.
"""

from __future__ import annotations

from dpl_nas.testing.methods import MethodConformance
from dpl_nas.testing.small import Bench, assert_sentence, counted_steps, small_space, task_of
from dpl_nas.testing.strategies import StrategyConformance, Whole, ledger_of, story

__all__ = [
    "Bench",
    "MethodConformance",
    "StrategyConformance",
    "Whole",
    "assert_sentence",
    "counted_steps",
    "ledger_of",
    "small_space",
    "story",
    "task_of",
]
