import json
import os
import subprocess
from pathlib import Path

import nni_node
import pytest

from dpl_nas.experiments.loopback import loopback_environment, node_options, preload_file

NODE = Path(nni_node.__file__).with_name("node")
ADDRESS = "server.on('listening', () => { {print}; server.close(); });".replace(
    "{print}", "console.log(JSON.stringify(server.address()))"
)


def address(listen: str, environment: dict[str, str]) -> dict[str, object] | str:
    """Where a server of NNI's own Node listens after ``server.listen(...)``."""
    script = f"const server = require('http').createServer(); {ADDRESS} server.{listen};"
    done = subprocess.run(
        [str(NODE), "-e", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: dict[str, object] | str = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    "listen",
    [
        "listen(0)",
        "listen('0')",
        "listen()",
        "listen(() => {})",
        "listen(0, () => {})",
        "listen(0, '0.0.0.0')",
        "listen(0, '::', 5, () => {})",
        "listen(0, undefined, () => {})",
        "listen({port: 0})",
        "listen({port: 0, host: '0.0.0.0'}, () => {})",
    ],
)
def test_listens_on_loopback_only(listen: str) -> None:
    found = address(listen, loopback_environment())
    assert isinstance(found, dict)
    assert found["address"] == "127.0.0.1"


def test_without_it_node_listens_everywhere() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "NODE_OPTIONS"}
    found = address("listen(0)", environment)
    assert isinstance(found, dict)
    assert found["address"] in {"::", "0.0.0.0"}  # noqa: S104 (what is warned of)


def test_leaves_local_sockets_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    assert address(f"listen({json.dumps(path)})", loopback_environment()) == path


def test_keeps_the_options_that_are_there() -> None:
    first = node_options("--max-old-space-size=512")
    assert first == f'--max-old-space-size=512 --require "{preload_file()}"'
    assert node_options(first) == first


def test_keeps_the_environment() -> None:
    assert loopback_environment({"A": "b"}) == {"A": "b", "NODE_OPTIONS": node_options()}
