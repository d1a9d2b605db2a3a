"""What runs on a GPU and how fast: the tables of docs/performance.md, "On a GPU".

    python -m benchmarks.gpu --out runs/gpu.json

takes at most 8 minutes: nothing is begun after ``--seconds``, and what was left out is named. The
file is written again after every figure. In this order:

- tests that are marked ``gpu``;
- trials: seconds of an epoch of several architectures side by side, by their number
  (`FewShotTraining.train_stack`);
- steps as published and ours, interleaved, as in `benchmarks.step`: a search step is an alpha step
  on 16 images and a prompt step on 4, a train step is on 4 images, an evaluate step is a test
  batch of 100. In float32, in TF32 (matrix products of float32 by tensor cores), and with bfloat16
  weights under autocast, both sides alike. Where the published step is too large, a slice of it
  is timed and scaled (benchmarks/slices.py).

A machine may have torch, torchvision, timm and the other common libraries, but no network. What is
missing can be brought as wheels for its Python: nni (3.0), open_clip_torch, pydantic,
pydantic-core, typing-inspection, annotated-types and ftfy; for the tests also astor, json-tricks,
prettytable, responses, schema, typeguard (4.1.2), websockets, simplejson and PythonWebHDFS:

    pip install --no-deps --no-index --target site *.whl
    PYTHONPATH=site:. python -m benchmarks.gpu --out gpu.json
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from benchmarks.measure import interleaved
from benchmarks.slices import Slice, parts, slice_of
from benchmarks.step import number
from benchmarks.workload import Case, Part, Phase, Workload, backbone_of
from dpl_nas.config import resolve
from dpl_nas.io.files import write_json
from dpl_nas.process.memory import keep_freed_memory
from dpl_nas.space.fitting import distinct_sample
from dpl_nas.training.few_shot import FewShotTraining
from dpl_nas.training.problem import Problem

__all__ = ["Report", "main", "tables"]

Mode = Literal["fp32", "tf32", "bf16"]

LONGEST = 6
#: The part of the free memory that a published step may take.
_SHARE = 0.6
_SPACES = {"mini_clip": "mini_clip_budget12", "vit_b16": "clip_vit_b16_budget12"}
_TASK, _SHOTS = "mini/digits", 16


@dataclass
class Report:
    """All that was measured so far."""

    machine: dict[str, Any]
    tests: dict[str, Any] | None = None
    trials: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def machine(device: torch.device) -> dict[str, Any]:
    """Return the names of the device and of torch."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return {
        "device": name,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "date": time.strftime("%Y-%m-%d"),
    }


def run_tests(options: argparse.Namespace) -> dict[str, Any]:
    """Run the tests that are marked ``gpu``; return their summary."""
    started = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "pytest", "-q", "-m", "gpu", *options.tests],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()[-500:]]
    return {
        "code": done.returncode,
        "summary": lines[-1],
        "failed": [line for line in lines if line.startswith(("FAILED", "ERROR"))],
        "seconds": time.perf_counter() - started,
    }


def measure_trials(model: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the seconds of an epoch, by the number of architectures trained side by side."""
    settings = [f"device={options.device}"]
    if model != "mini_clip":
        settings.append("space.backbone.pretrained=random")
    config = resolve(_TASK, _SPACES[model], "darts", settings, shots=_SHOTS, seed=1)
    training = FewShotTraining(Problem.of_run(config))
    chosen = distinct_sample(config.space, random.Random(1), max(options.stacks))
    alone = None
    for size in options.stacks:
        training.train_stack(chosen[:size], epochs=1)
        seconds = []
        for _ in range(options.repeats):
            started = time.perf_counter()
            training.train_stack(chosen[:size], epochs=1)
            seconds.append(time.perf_counter() - started)
        each = sorted(seconds)[len(seconds) // 2] / size
        alone = alone or each
        yield {
            "model": model,
            "side_by_side": size,
            "seconds_each": each,
            "times_faster": alone / each,
            "steps": training.steps_an_epoch,
        }


def measure_step(case: Case, mode: Mode, options: argparse.Namespace) -> dict[str, Any]:
    """Return seconds of a step on both sides, their peaks of memory, and how far they differ."""
    device = torch.device(options.device)
    # Warns of nothing where it means nothing, as on a CPU.
    torch.set_float32_matmul_precision("high" if mode == "tf32" else "highest")
    backbone = backbone_of(case.model, "bf16" if mode == "bf16" else "fp32", options.device)
    workload = Workload(case, backbone)
    chosen = slice_of(case, backbone, _SHARE * _free(device))
    sides = [parts(workload, chosen), workload.ours(), workload.ours("portable")]
    peaks = [_peak(side, device) for side in sides]
    published, ours, portable = interleaved(sides, options.repeats, wait=_wait(device))
    whole = chosen == Slice()
    return {
        **asdict(case),
        "mode": mode,
        "published_s": published,
        "ours_s": ours,
        "portable_s": portable,
        "ratio": published / ours,
        "published_gb": peaks[0] if whole else None,
        "ours_gb": peaks[1],
        "scaled_from_layers": chosen.layers,
        "scaled_from_classes": chosen.classes,
        "difference": _difference(workload) if whole else None,
    }


@torch.no_grad()
def _difference(workload: Workload) -> float:
    """Return the relative distance of our logits from the published ones."""
    from benchmarks.published import PublishedCLIP
    from dpl_nas.prompted import PromptedCLIP

    images, _ = workload.batches[-1]
    published = PublishedCLIP(workload.backbone, workload.contexts())(images, workload.tokens)
    text = workload.backbone.text_inputs_of(workload.tokens)
    ours = PromptedCLIP(workload.backbone, workload.contexts())(images, text)
    return float((ours - published).norm() / published.norm())


def _free(device: torch.device) -> float:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 4e9


def _wait(device: torch.device) -> Callable[[], None]:
    return torch.cuda.synchronize if device.type == "cuda" else lambda: None


def _peak(side: Sequence[Part], device: torch.device) -> float | None:
    """Run all parts once, which also warms up; return the most GB of tensors on a GPU."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    for part in side:
        part.run()
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None


def tables(report: Report) -> Iterator[str]:
    """Yield lines of Markdown."""
    yield ", ".join(f"{name}: {value}" for name, value in report.machine.items())
    if report.tests is not None:
        yield f"tests: {report.tests['summary']}"
    yield from (
        "",
        "| model | side by side | ms a step and trial | times faster |",
        "|" + " --- |" * 4,
    )
    for row in report.trials:
        each = 1e3 * row["seconds_each"] / row["steps"]
        yield (
            f"| {row['model']} | {row['side_by_side']} | {each:.3g} | {row['times_faster']:.1f} |"
        )
    yield ""
    heads = ("model", "phase", "classes", "products in", "published s", "ours s", "ratio")
    heads = (*heads, "portable path s", "published GB", "ours GB", "difference")
    yield "| " + " | ".join(heads) + " |"
    yield "|" + " --- |" * len(heads)
    for row in report.steps:
        scaled = "*" if row["scaled_from_layers"] or row["scaled_from_classes"] else ""
        cells = (
            *(str(row[name]) for name in ("model", "phase", "classes", "mode")),
            number(row["published_s"], scaled),
            *(number(row[name]) for name in ("ours_s", "ratio", "portable_s")),
            *(number(row[name]) for name in ("published_gb", "ours_gb")),
            "" if row["difference"] is None else f"{row['difference']:.0e}",
        )
        yield "| " + " | ".join(cells) + " |"
    yield from [f"left out: {name}" for name in report.left_out]


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON file")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=420, help="after which nothing is begun")
    parser.add_argument("--models", nargs="*", default=["vit_b16", "vit_l14"])
    parser.add_argument("--classes", nargs="+", type=int, default=[100, 1000])
    parser.add_argument("--phases", nargs="+", default=get_args(Phase), choices=get_args(Phase))
    parser.add_argument("--modes", nargs="+", default=get_args(Mode), choices=get_args(Mode))
    parser.add_argument("--trials", nargs="*", default=[*_SPACES], choices=_SPACES)
    parser.add_argument("--stacks", nargs="+", type=int, default=[1, 2, 4, 8, 16])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tests", nargs="*", default=["tests"], help="folders; none: no tests")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write, and print."""
    options = _parsed(arguments)
    keep_freed_memory()
    device, started = torch.device(options.device), time.perf_counter()
    report = Report(machine(device))

    def left(name: str) -> bool:
        """Whether there is time for what is called ``name``."""
        write_json(options.out, asdict(report))
        if time.perf_counter() - started < options.seconds:
            return True
        report.left_out.append(name)
        return False

    if options.tests and left("tests"):
        report.tests = run_tests(options)
    for model in options.trials:
        if left(f"trials of {model}"):
            report.trials.extend(measure_trials(model, options))
    cases = product(options.models, options.classes, options.modes, options.phases)
    for model, classes, mode, phase in cases:
        case = Case(model, phase, classes, LONGEST)
        if left(f"{case} in {mode}"):
            report.steps.append(measure_step(case, mode, options))
            sys.stderr.write(f"{json.dumps(report.steps[-1])}\n")
    write_json(options.out, asdict(report))
    sys.stdout.write("\n".join(tables(report)) + "\n")


if __name__ == "__main__":
    main()
