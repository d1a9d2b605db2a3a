"""Seconds of both sides, interleaved, and what follows from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import get_args

import torch

from benchmarks.floor import PeakRate
from benchmarks.memory import Memory, step_memory
from benchmarks.slices import parts, slice_of
from benchmarks.workload import Case, Part, Workload, backbone_of
from dpl_nas.config import load_strategy
from dpl_nas.kernels import KernelPath

__all__ = ["PathRow", "Row", "interleaved", "measure", "measure_paths"]

#: Steps shorter than this many seconds are repeated until it is over.
_SHORT = 0.2


@dataclass(frozen=True)
class Row:
    """A row of the table; ``None`` where something was not measured or not scaled.

    Attributes
    ----------
    floor_s
        Seconds of our step's matrix products at the peak rate.
    published_gb, ours_gb
        Peak resident memory of a process that does the step: weights and libraries included.
    scaled_from_layers, scaled_from_classes
        How many were timed of the published side, where not all were.
    memory_scaled
        Whether the published memory follows from slices, too.
    """

    model: str
    phase: str
    classes: int
    max_length: int
    published_s: float
    ours_s: float
    ratio: float
    floor_s: float
    floor_ratio: float
    published_gb: float | None
    ours_gb: float | None
    scaled_from_layers: int | None
    scaled_from_classes: int | None
    memory_scaled: bool | None
    peak_gflops: float
    gflop: float
    threads: int
    repeats: int


@dataclass(frozen=True)
class PathRow:
    """A search step of the embedded CLIP by one path of the kernels."""

    path: str
    seconds: float
    times_faster_than_reference: float


def measure(case: Case, *, repeats: int, memory: bool = True, rate: PeakRate | None = None) -> Row:
    """Time a case ``repeats`` times on each side, in turns; medians."""
    workload = Workload(case, backbone_of(case.model))
    chosen = slice_of(case, workload.backbone)
    rate = rate or PeakRate()
    published, ours = interleaved(
        [parts(workload, chosen), workload.ours()], repeats, between=rate.sample
    )
    peak = rate.flops_per_second()
    floor = workload.flops() / peak
    found = step_memory(case) if memory else Memory(None, None, None)
    return Row(
        **asdict(case),
        published_s=published,
        ours_s=ours,
        ratio=published / ours,
        floor_s=floor,
        floor_ratio=ours / floor,
        published_gb=found.published_gb,
        ours_gb=found.ours_gb,
        scaled_from_layers=chosen.layers,
        scaled_from_classes=chosen.classes,
        memory_scaled=found.scaled,
        peak_gflops=peak / 1e9,
        gflop=workload.flops() / 1e9,
        threads=torch.get_num_threads(),
        repeats=repeats,
    )


def measure_paths(repeats: int) -> list[PathRow]:
    """The search step of ``make demo`` by every path: batches of 16 and 32, lengths 0 to 6."""
    settings = load_strategy("darts").search
    backbone = backbone_of("mini_clip")
    workload = Workload(
        Case("mini_clip", "search", 10, 6),
        backbone,
        images=(settings.validation_batch_size, settings.batch_size),
    )
    paths = {"default": None, **{path: path for path in get_args(KernelPath)}}
    seconds = interleaved([workload.ours(path) for path in paths.values()], repeats)
    found = dict(zip(paths, seconds, strict=True))
    return [PathRow(path, each, found["reference"] / each) for path, each in found.items()]


def interleaved(
    sides: Sequence[Sequence[Part]],
    repeats: int,
    between: Callable[[], None] | None = None,
    wait: Callable[[], None] = lambda: None,
) -> list[float]:
    """Seconds of each side, from the medians of its parts; the sides take turns.

    ``wait`` returns when the device has done what it was told.
    """
    seconds: list[list[list[float]]] = [[[] for _ in side] for side in sides]
    for _ in range(repeats):
        for side, found in zip(sides, seconds, strict=True):
            for part, times in zip(side, found, strict=True):
                times.append(_seconds(part.run, wait))
        if between is not None:
            between()
    return [
        sum(
            part.share * part.passes * median(times)
            for part, times in zip(side, found, strict=True)
        )
        for side, found in zip(sides, seconds, strict=True)
    ]


def _seconds(run: Callable[[], object], wait: Callable[[], None]) -> float:
    """Of one run; the mean of several where one is short."""
    wait()
    count, started = 0, time.perf_counter()
    while True:
        run()
        wait()
        count += 1
        passed = time.perf_counter() - started
        if passed > _SHORT:
            return passed / count
