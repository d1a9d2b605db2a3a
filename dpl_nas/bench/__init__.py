"""Methods beside each other, under the protocols of the field.

>>> from dpl_nas.bench import BenchPlan, run_bench, write_bench
>>> from dpl_nas.space import load_space
>>> plan = BenchPlan(tasks=["mini/digits"], methods=["zero-shot"], space=load_space("mini_clip"))
>>> len(plan.jobs())
3
"""

from dpl_nas.bench.cell import BenchCell
from dpl_nas.bench.plan import BenchPlan, Job, Protocol, TestSet
from dpl_nas.bench.report import write_bench
from dpl_nas.bench.runner import run_bench
from dpl_nas.bench.tables import BenchTables, bench_tables

__all__ = [
    "BenchCell",
    "BenchPlan",
    "BenchTables",
    "Job",
    "Protocol",
    "TestSet",
    "bench_tables",
    "run_bench",
    "write_bench",
]
