"""The Python of a worker, as NNI's remote service should find it: no open server, no pip."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from dpl_nas.errors import OutputError
from dpl_nas.experiments.loopback import node_options
from dpl_nas.io.files import write_text

__all__ = ["NAMES", "write_worker"]

#: NNI calls the one, or the other if there is none.
NAMES = ("python", "python3")

_MARK = "# Written by `dpl-nas nni worker`"
_SCRIPT = f"""\
#!/bin/sh
{_MARK}; its folder is this machine's pythonPath in dpl_remote.yml.
# NNI's server on this machine knows no password: it stays on 127.0.0.1.
export NODE_OPTIONS={{options}}
# NNI runs `pip install nni --upgrade` here: pip shall be content with what is installed.
export PIP_NO_INDEX=1
exec {{python}} "$@"
"""


def write_worker(folder: Path, python: Path | None = None) -> Path:
    """Write the ``python`` that NNI is to start on this machine; returns its folder.

    NNI's remote service starts a server of its own on each worker, which listens on all
    interfaces and knows no password, and first runs ``pip install nni --upgrade``. An
    interpreter of this folder keeps the former on 127.0.0.1, and the latter off the network.

    Parameters
    ----------
    python
        The interpreter that has dpl_nas; by default the one that runs.

    Raises
    ------
    OutputError
        If the folder cannot be written, or has a ``python`` that is not of this making.
    """
    folder = folder.absolute()
    script = _SCRIPT.format(
        options=shlex.quote(node_options()), python=shlex.quote(str(python or sys.executable))
    )
    paths = [folder / name for name in NAMES]
    for path in paths:
        if path.exists() and _MARK.encode() not in path.read_bytes()[:200]:
            raise OutputError(
                f"{path} is there already and was not written by dpl-nas: name a folder of its own"
            )
    for path in paths:
        write_text(path, script)
        path.chmod(0o755)
    return folder
