"""The Python of a worker for NNI's remote service: no open server, no use of pip."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from dpl_nas.errors import OutputError
from dpl_nas.experiments.loopback import node_options
from dpl_nas.io.files import write_text

__all__ = ["NAMES", "write_worker"]

#: NNI calls the first, or the second if there is no first.
NAMES = ("python", "python3")

_MARK = "# Written by `dpl-nas nni worker`"
_SCRIPT = f"""\
#!/bin/sh
{_MARK}; its folder is this machine's pythonPath in dpl_remote.yml.
# NNI's server on this machine has no password, so it must stay on 127.0.0.1.
export NODE_OPTIONS={{options}}
# NNI runs `pip install nni --upgrade` here, and pip must use what is installed.
export PIP_NO_INDEX=1
exec {{python}} "$@"
"""


def write_worker(folder: Path, python: Path | None = None) -> Path:
    """Write the ``python`` that NNI is to start on this machine; returns its folder.

    NNI's remote service first runs ``pip install nni --upgrade`` on each worker. Then it starts
    a server there that listens on all interfaces and has no password. The interpreter in this
    folder keeps pip off the network, and the server on 127.0.0.1.

    Parameters
    ----------
    python
        Path of the interpreter that has dpl_nas; by default the one that runs.

    Raises
    ------
    OutputError
        If the folder cannot be written, or has a ``python`` that this function did not write.
    """
    folder = folder.absolute()
    script = _SCRIPT.format(
        options=shlex.quote(node_options()), python=shlex.quote(str(python or sys.executable))
    )
    paths = [folder / name for name in NAMES]
    for path in paths:
        if path.exists() and _MARK.encode() not in path.read_bytes()[:200]:
            raise OutputError(f"{path} was not written by dpl-nas nni worker: give another folder")
    for path in paths:
        write_text(path, script)
        path.chmod(0o755)
    return folder
