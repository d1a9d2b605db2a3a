"""One big job in several processes: each takes a part of every batch, gradients are summed.

Neither Lightning's ``ddp`` nor its launchers are used:

- DDP expects one backward pass for each forward pass through its module. The search has two, of
  which NNI keeps the gradients of one half each, and one process may have a smaller part of a
  batch than the others, or none. Only context vectors and alphas have gradients, a few hundred
  thousand numbers, so one sum before each step of an optimizer is quick, and simple.
- Lightning's and torchrun's processes start the whole program again, ``sys.argv`` included. That
  fits a command line and no Python API, whose caller may be a notebook or a test. Here the
  caller's own process is the first of the group and goes on with its result; it alone writes
  files and tells the observer. The others are started with what they need, pickled, as
  ``python -m dpl_nas.training.helper``: unlike multiprocessing's they do not import the caller's
  main module again, which therefore needs no guard.

Sums go through gloo on the loopback interface, for GPUs, too: the death of a process is an error
of the others at once, and the sums are too small for NCCL to matter.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from dpl_nas.errors import ConfigError, DplError
from dpl_nas.io.files import read_json

if TYPE_CHECKING:
    from dpl_nas.backbone import Backbone

__all__ = ["ALONE", "Ranks", "check_devices", "group", "on_devices", "threads_shared"]

#: Seconds that helpers have for what remains to do when the first has finished.
_GRACE = 60.0
_LOOPBACK = "GLOO_SOCKET_IFNAME"

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """The rank of this process among those that share every batch.

    Attributes
    ----------
    rank
        0 is the caller's own process.
    size
        Number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and tells the observer."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """The rows of this process in a batch of ``count``.

        Where there are fewer rows than processes, some get the first row, of weight 0: every
        process takes every step.
        """
        start, stop = self._bounds(count)
        return slice(start, stop) if stop > start else slice(0, 1)

    def weight(self, count: int) -> float:
        """Return the weight of this part's mean in the mean over a batch of ``count`` rows."""
        start, stop = self._bounds(count)
        return (stop - start) / count

    def _bounds(self, count: int) -> tuple[int, int]:
        return count * self.rank // self.size, count * (self.rank + 1) // self.size

    def total(self, value: Tensor) -> Tensor:
        """The sum of ``value`` over all processes, bit for bit the same in each."""
        return _summed(value) if self.size > 1 else value

    def sum_gradients(self, optimizer: torch.optim.Optimizer) -> None:
        """Make each later step of ``optimizer`` first sum its gradients over processes."""
        if self.size > 1:
            optimizer.register_step_pre_hook(lambda *_: self._sum(optimizer))

    def _sum(self, optimizer: torch.optim.Optimizer) -> None:
        gradients = [
            parameter.grad
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        flat = _summed(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        sums = flat.split([gradient.numel() for gradient in gradients])
        for gradient, summed in zip(gradients, sums, strict=True):
            gradient.copy_(summed.view_as(gradient))


def _summed(value: Tensor) -> Tensor:
    on_host = value.detach().to("cpu", copy=True)
    dist.all_reduce(on_host)
    return on_host.to(value.device)


#: All of every batch.
ALONE = Ranks()


def check_devices(devices: int, device: torch.device) -> None:
    """Raise an error unless each of ``devices`` processes has a device of the kind.

    Raises
    ------
    ConfigError
        If there are fewer GPUs, or this GPU is not the first.
    """
    if devices > 1 and device.type == "cuda":
        if device.index:
            raise ConfigError(
                f"devices={devices} uses the GPUs from cuda:0 on, found device {device}: set "
                "device to cuda, and choose GPUs with CUDA_VISIBLE_DEVICES"
            )
        if devices > torch.cuda.device_count():
            raise ConfigError(
                f"expected {devices} GPUs for devices={devices}, found "
                f"{torch.cuda.device_count()}: lower devices"
            )


def on_devices(
    devices: int,
    work: Callable[..., T],
    backbone: Backbone,
    **first: Any,
) -> T:
    """``work(backbone=..., ranks=...)`` in ``devices`` processes; the result of the first.

    Parameters
    ----------
    work
        Picklable function, such as a ``partial`` of a module's function. It has to take the
        same steps in all processes.
    backbone
        Backbone of the first process, on the CPU or ``cuda:0``; each other gets a copy, on a GPU of
        its own.
    **first
        Arguments for the first process's ``work`` only, such as an observer.

    Raises
    ------
    ConfigError
        If there are fewer GPUs, if torch.distributed is in use already, or if something cannot
        be pickled.
    DplError
        If ``work`` raises it in any process.
    RuntimeError
        If a process dies.
    """
    check_devices(devices, backbone.device)
    if dist.is_initialized():
        raise ConfigError(
            f"expected devices=1, as this process already uses torch.distributed, found "
            f"devices={devices}"
        )
    with tempfile.TemporaryDirectory(prefix="dpl_nas-") as name:
        folder = Path(name)
        try:
            torch.save({"work": work, "backbone": backbone, "size": devices}, folder / "job")
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigError(
                f"devices={devices} needs a task and a backbone that pickle can copy to other "
                f"processes, but pickle failed: {error}"
            ) from error
        with _helpers(folder, devices) as helpers:
            try:
                with threads_shared(devices, backbone), helpers.joined():
                    result = work(backbone=backbone, ranks=Ranks(0, devices), **first)
                    helpers.wait()
            except RuntimeError as error:
                # If a helper failed, its error is the reason of this one.
                helpers.blame(error)
                raise
    return result


class _Helpers:
    def __init__(self, folder: Path, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        self._folder = folder
        self._processes = processes

    @contextmanager
    def joined(self) -> Iterator[None]:
        """The group of all processes, once all are there."""
        waiting = set(range(1, len(self._processes) + 1))
        while waiting:
            waiting = {rank for rank in waiting if not (self._folder / f"ready.{rank}").exists()}
            if any(process.poll() is not None for process in self._processes):
                raise RuntimeError("a process of the group ended before it began")
            time.sleep(0.05)
        # All have read it, and it is as large as the backbone.
        (self._folder / "job").unlink()
        with group(self._folder, 0, len(self._processes) + 1):
            yield

    def wait(self) -> None:
        """Wait until all have ended; no joint computation is left."""
        for process in self._processes:
            # What was asked for is there, whatever keeps them.
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)

    def blame(self, error: RuntimeError) -> None:
        """Raise what a helper ended by, if one did."""
        for rank, process in enumerate(self._processes, start=1):
            # On a busy machine, a process takes long to end after its last word.
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE / 2)
            told = self._folder / f"error.{rank}"
            if told.exists():
                _raise(read_json(told), error)
        for rank, process in enumerate(self._processes, start=1):
            if process.poll():
                said = (self._folder / f"log.{rank}").read_text(errors="replace")[-2000:]
                raise RuntimeError(
                    f"process {rank} of {len(self._processes) + 1} ended with code "
                    f"{process.returncode}: {said.strip() or 'it printed nothing'}"
                ) from error


def _raise(told: dict[str, str], cause: RuntimeError) -> None:
    kinds = {kind.__name__: kind for kind in _subclasses(DplError)}
    raise kinds.get(told["kind"], DplError)(told["message"]) from cause


def _subclasses(kind: type[DplError]) -> Iterator[type[DplError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _subclasses(each)


@contextmanager
def _helpers(folder: Path, devices: int) -> Iterator[_Helpers]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(1, devices):
            with (folder / f"log.{rank}").open("wb") as log:
                processes.append(
                    subprocess.Popen(  # noqa: S603 (this Python, and our own module)
                        [sys.executable, "-m", "dpl_nas.training.helper", str(folder), str(rank)],
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        # Ctrl-C is for the first process, which ends the others.
                        start_new_session=True,
                    )
                )
        yield _Helpers(folder, processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def group(folder: Path, rank: int, size: int) -> Iterator[None]:
    """The process group of ``folder``, reachable from this machine only."""
    before = os.environ.get(_LOOPBACK)
    os.environ[_LOOPBACK] = "lo"
    try:
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=size
        )
    finally:
        if before is None:
            del os.environ[_LOOPBACK]
        else:
            os.environ[_LOOPBACK] = before
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def threads_shared(devices: int, backbone: Backbone) -> Iterator[None]:
    """Give each process a part of the cores, if on the CPU."""
    before = torch.get_num_threads()
    if backbone.device.type == "cpu":
        torch.set_num_threads(max(before // devices, 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)
