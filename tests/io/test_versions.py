import platform

import numpy as np

from dpl_nas.io.versions import software_versions


def test_packages_that_are_missing_are_left_out() -> None:
    assert software_versions("numpy", "no-such-package") == {
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
