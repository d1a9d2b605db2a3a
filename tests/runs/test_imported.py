"""A process that is to be forked says nothing by its imports, and stays a single thread."""

import os
import subprocess
import sys

import pytest

IMPORT = """
import os, sys, torch, open_clip
import dpl_nas.runs.imported
print(len(os.listdir("/proc/self/task")), {"nni.nas", "sklearn.metrics"} <= set(sys.modules))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="others do not fork")
def test_imports_are_silent_and_start_no_threads() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        # The threads of OpenBLAS are its own concern: it ends them before a fork.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("1 True\n", "")
