"""Peak resident memory of a step, each measured in a process of its own."""

from __future__ import annotations

import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks.slices import Slice, parts, published_bytes, slice_of
from benchmarks.workload import Case, Part, Workload, backbone_of
from dpl_nas.space import TOWERS

__all__ = ["Memory", "step_memory"]

#: The published step is done whole where it is expected to keep less than this many bytes.
_WHOLE = 8e9
_GB = 1e9


@dataclass(frozen=True)
class Memory:
    """Peaks of whole processes in GB, weights and libraries included; ``None``: not measured.

    ``scaled``: the published step does not fit, so its peak follows from slices. What each of
    them adds to the memory of a process that only holds the weights is scaled as its time is.
    """

    published_gb: float | None
    ours_gb: float | None
    scaled: bool | None


def step_memory(case: Case) -> Memory:
    """The peaks of both sides."""
    backbone = backbone_of(case.model)
    expected = sum(
        published_bytes(case, backbone, tower, classes=case.classes, layers=backbone.layers[tower])
        for tower in TOWERS
    )
    ours = _in_a_process(case, None)
    if expected < _WHOLE:
        return Memory(_in_a_process(case, Slice()), ours, scaled=False)
    chosen = slice_of(case, backbone)
    idle = _in_a_process(case, chosen, idle=True)
    added = [
        part.share * (_in_a_process(case, chosen, index) - idle)
        for index, part in enumerate(parts(Workload(case, backbone), chosen))
    ]
    return Memory(idle + sum(added), ours, scaled=True)


def _in_a_process(
    case: Case, published: Slice | None, index: int = 0, *, idle: bool = False
) -> float:
    # Started afresh: a forked process would begin with the memory of this one.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak, case, published, index, idle, torch.get_num_threads()).result()


def _peak(case: Case, published: Slice | None, index: int, idle: bool, threads: int) -> float:
    """GB of this process at its peak, after it has done a part of the published step or ours."""
    torch.set_num_threads(threads)
    workload = Workload(case, backbone_of(case.model))
    if published is not None:
        todo: list[Part] = [parts(workload, published)[index]]
    else:
        # Twice, for the second step may find the buffers of the first still taken.
        todo = workload.ours() * 2
    if not idle:
        for part in todo:
            part.run()
    return _high_water_mark()


def _high_water_mark() -> float:
    # Not ru_maxrss: a process takes it over from the one that started it.
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    if found is None:
        raise RuntimeError("expected VmHWM in /proc/self/status")
    return int(found[1]) * 1024 / _GB
