"""What whole searches import, for a process that forks others to run them.

Importing this module imports it all, without messages of NNI and Lightning.
"""

from dpl_nas.nni.quiet import quiet

__all__: list[str] = []

with quiet():
    import sklearn.metrics  # noqa: F401

    import dpl_nas.runs
    import dpl_nas.strategy.darts  # noqa: F401
