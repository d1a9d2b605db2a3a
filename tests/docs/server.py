"""A shell's ``dpl-nas`` and ``python`` without the seconds that each takes to import torch.

``python -m tests.docs.server SOCKET PRESETS`` imports the package once. For each command it forks,
and the child runs the command on the streams, in the folder and with the environment of the shell.
It must be started with OMP_NUM_THREADS=1: a child waits forever for OpenMP's threads of its parent.
"""

import json
import os
import runpy
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from tests.docs.smaller import shrink, shrink_arguments

__all__ = ["CLIENT", "MOST"]

#: Tasks that take seconds to draw, and are then the same at every call.
TASKS = ("mini/digits", "mini/letters", "mini/relation")
#: Bytes of a command.
MOST = 1 << 20

#: The program on PATH: it hands over its streams, and ends as the command does.
CLIENT = """#!{python} -SE
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({socket!r})
command = [{name!r}, sys.argv[1:], os.getcwd(), dict(os.environ)]
socket.send_fds(server, [json.dumps(command).encode()], [0, 1, 2])
code = server.recv(8)
sys.exit(int(code) if code else 1)
"""


def _run(name: str, arguments: list[str]) -> None:
    if name == "dpl-nas":
        from dpl_nas.cli import main

        main(shrink_arguments(arguments))
    sys.path.insert(0, str(Path.cwd()))
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


def _code(name: str, arguments: list[str]) -> int:
    try:
        _run(name, arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as Python ends a program
        traceback.print_exc()
        return 1
    return 0


def _answer(client: socket.socket) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    text, streams, _, _ = socket.recv_fds(client, MOST, 3)
    name, arguments, folder, environment = json.loads(text)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # Where folders of a reader's PYTHONPATH would be.
    sys.path[:0] = [each for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each]
    code = _code(name, arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    client.sendall(str(code).encode())
    os._exit(code)


def _serve(place: str, presets: str) -> None:
    import dpl_nas.classifier.fitting
    import dpl_nas.cli.app
    import dpl_nas.comparison
    import dpl_nas.runs
    import dpl_nas.strategy
    from dpl_nas.tasks import load_task

    # NNI, Lightning and all strategies.
    for name in dpl_nas.strategy.__all__:
        if name != "from_optuna":
            getattr(dpl_nas.strategy, name)
    shrink(Path(presets))
    for task in TASKS:
        load_task(task)
    if (threads := len(list(Path("/proc/self/task").glob("*")))) > 1:
        raise RuntimeError(f"{threads} threads run, which a fork does not take along")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(place)
        server.listen()
        while True:
            client, _ = server.accept()
            if os.fork() == 0:
                _answer(client)
            client.close()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
