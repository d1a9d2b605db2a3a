"""A real SSH server for machines without sshd: commands, SFTP and forwarded ports, on asyncssh.

``python ssh_server.py PORT HOST_KEY AUTHORIZED_KEYS HOME`` serves 127.0.0.1 until it is killed.
"""

import asyncio
import os
import subprocess
import sys

import asyncssh


class Server(asyncssh.SSHServer):
    """Forwards ports, both ways, for those whose keys are authorized."""

    def connection_requested(self, *_: object) -> bool:
        return True

    def server_requested(self, *_: object) -> bool:
        return True


async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """The command as a process of its own, with the environment of a fresh login."""
    child = await asyncio.create_subprocess_exec(
        "/bin/bash",
        "-c",
        process.command or "true",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"HOME": sys.argv[4], "PATH": os.defpath},
        cwd=sys.argv[4],
    )
    out, errors = await child.communicate()
    process.stdout.write(out)
    process.stderr.write(errors)
    code = await child.wait()
    # As a shell tells of a death by a signal.
    process.exit(code if code >= 0 else 128 - code)


async def serve() -> None:
    port, host_key, authorized = sys.argv[1:4]
    server = await asyncssh.listen(
        "127.0.0.1",
        int(port),
        server_factory=Server,
        server_host_keys=[host_key],
        authorized_client_keys=authorized,
        process_factory=run,
        encoding=None,
        sftp_factory=True,
    )
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(serve())
