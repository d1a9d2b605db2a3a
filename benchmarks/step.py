"""One step as published against ours: seconds, peak memory, and the floor.

    python -m benchmarks.step                               every row; takes hours
    python -m benchmarks.step --only 'vit_b16,search,100,6'  MODEL,PHASE,CLASSES,LENGTH
    python -m benchmarks.step --only 'mini_clip,*,10,*' --only '*,train,10,6' --json
    python -m benchmarks.step --paths                       our kernels' paths, mini CLIP
    python -m benchmarks.step --methods all                 methods in the towers, ViT-B/16
    python -m benchmarks.step --families all                towers of other families

A search step is an alpha step on 16 images and a prompt step on 4, with the candidates 0 to
LENGTH at every layer; a train step is one on 4 images, with LENGTH vectors at every layer; an
evaluate step is a test batch of 100 images. Forward and backward, without the optimizer. In a
test, our class text features serve 25 batches, so a 25th of their time counts; as published
they are computed for every batch. Captions are "a photo of a NAME." with made-up names.

With --methods, a train step of each method on 4 images (CoCoOp: 1) and 100 classes is held against
its plain form, which the tests prove to compute the same (benchmarks/plain_towers.py). With
--families, a search and a train step on 4 images are held against the plain definition.

Both sides take turns, and the medians of their seconds are compared. Where the published step
is too large, a slice of it is timed and scaled, as benchmarks/slices.py tells. The floor is the
time of our step's matrix products alone, at the best rate measured meanwhile.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from dpl_nas.process.memory import keep_freed_memory
from dpl_nas.process.threads import share_cores

if TYPE_CHECKING:
    from rich.table import Table

    from benchmarks.family_steps import FamilyRow
    from benchmarks.measure import PathRow, Row
    from benchmarks.method_steps import MethodRow
    from benchmarks.workload import Case

__all__ = ["main", "number", "picked"]


def picked(patterns: Sequence[str]) -> list[Case]:
    """The cases that a pattern fits; all without any.

    Raises
    ------
    ValueError
        If a pattern fits none.
    """
    from benchmarks.workload import CASES

    for pattern in patterns:
        if not any(_fits(case, pattern) for case in CASES):
            raise ValueError(
                f"expected MODEL,PHASE,CLASSES,LENGTH of a row, such as {CASES[0]}, each perhaps "
                f"*; found {pattern}"
            )
    return [c for c in CASES if not patterns or any(_fits(c, pattern) for pattern in patterns)]


def _fits(case: Case, pattern: str) -> bool:
    found, wanted = str(case).split(","), [part.strip() for part in pattern.split(",")]
    return len(found) == len(wanted) and all(map(fnmatchcase, found, wanted))


def table(rows: Sequence[Row]) -> Table:
    """For people."""
    from rich.table import Table

    # A busy machine shows here: the floor is then too high, and the ratio to it flatters us.
    rates = [row.peak_gflops for row in rows]
    found = Table(
        title="A step as published and ours",
        caption=(
            f"Floor at {min(rates):.0f} to {max(rates):.0f} GFLOP/s. GB: peaks of whole processes. "
            "*: scaled from a slice of so many layers / classes."
        ),
    )
    for heading in ("model", "phase"):
        found.add_column(heading)
    for heading in (
        "classes",
        "length",
        "published s",
        "ours s",
        "ratio",
        "floor s",
        "ours/floor",
        "published GB",
        "ours GB",
        "slice",
    ):
        found.add_column(heading, justify="right")
    for row in rows:
        scaled = row.scaled_from_layers is not None or row.scaled_from_classes is not None
        parts = (row.scaled_from_layers, row.scaled_from_classes)
        found.add_row(
            row.model,
            row.phase,
            str(row.classes),
            str(row.max_length),
            number(row.published_s, "*" if scaled else ""),
            number(row.ours_s),
            number(row.ratio),
            number(row.floor_s),
            number(row.floor_ratio),
            number(row.published_gb, "*" if row.memory_scaled else ""),
            number(row.ours_gb),
            " / ".join("all" if part is None else str(part) for part in parts) if scaled else "",
        )
    return found


def path_table(rows: Sequence[PathRow]) -> Table:
    """For people."""
    from rich.table import Table

    found = Table(title="A search step of the mini CLIP by path (batches of 32 and 16)")
    for heading in ("path", "seconds", "times faster than reference"):
        found.add_column(heading)
    for row in rows:
        found.add_row(row.path, number(row.seconds), number(row.times_faster_than_reference))
    return found


def method_table(rows: Sequence[MethodRow]) -> Table:
    """For people."""
    return _grid(
        "A train step of methods, as published and ours",
        ("method", "images", "classes", "published s", "ours s", "ratio"),
        [
            (
                row.method,
                str(row.images),
                str(row.classes),
                number(row.published_s),
                number(row.ours_s),
                number(row.ratio),
            )
            for row in rows
        ],
    )


def print_methods(options: argparse.Namespace) -> None:
    """Measure and print the rows of methods."""
    from rich.console import Console

    from benchmarks.method_steps import measure_methods
    from benchmarks.plain_towers import PLAIN

    names = list(PLAIN) if options.methods == ["all"] else options.methods

    def tell(row: MethodRow) -> None:
        sys.stderr.write(f"{json.dumps(asdict(row))}\n")

    rows = measure_methods(names, options.model, options.classes, options.repeats, tell)
    if options.json:
        sys.stdout.write(json.dumps({"methods": [asdict(row) for row in rows]}) + "\n")
    else:
        Console(width=100).print(method_table(rows))


def family_table(rows: Sequence[FamilyRow]) -> Table:
    """For people."""
    return _grid(
        "A step on other towers, by the plain definition and ours",
        ("family", "model", "phase", "classes", "length", "plain s", "ours s", "ratio"),
        [
            (
                row.family,
                row.model,
                row.phase,
                str(row.classes),
                str(row.length),
                number(row.plain_s),
                number(row.ours_s),
                number(row.ratio),
            )
            for row in rows
        ],
    )


def _grid(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table whose names are on the left and numbers on the right."""
    from rich.table import Table

    found = Table(title=title)
    for heading in headings:
        named = heading in ("method", "family", "model")
        found.add_column(heading, justify="left" if named else "right")
    for row in rows:
        found.add_row(*row)
    return found


def print_families(options: argparse.Namespace) -> None:
    """Measure and print the rows of families."""
    from rich.console import Console

    from benchmarks.family_steps import FAMILIES, measure_families

    names = list(FAMILIES) if options.families == ["all"] else options.families

    def tell(row: FamilyRow) -> None:
        sys.stderr.write(f"{json.dumps(asdict(row))}\n")

    rows = measure_families(names, options.classes, options.length, options.repeats, tell)
    if options.json:
        sys.stdout.write(json.dumps({"families": [asdict(row) for row in rows]}) + "\n")
    else:
        Console(width=110).print(family_table(rows))


def number(value: float | None, mark: str = "") -> str:
    """A cell with three digits and a mark; nothing if there is no value."""
    return "" if value is None else f"{value:.3g}{mark}"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.step",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", default=[], metavar="ROW")
    parser.add_argument("--paths", action="store_true", help="compare the paths of our kernels")
    parser.add_argument(
        "--methods",
        nargs="+",
        metavar="METHOD",
        help="compare methods, or all, with their plain form",
    )
    parser.add_argument("--model", default="vit_b16", help="of --methods")
    parser.add_argument("--classes", type=int, default=100, help="of --methods and --families")
    parser.add_argument(
        "--families", nargs="+", metavar="FAMILY", help="towers of other families, or all"
    )
    parser.add_argument("--length", type=int, default=6, help="of --families")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--repeats", type=int, default=5, help="turns of both sides")
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument("--no-memory", action="store_true", help="leave peak memory out: quicker")
    options = parser.parse_args(arguments)
    if options.repeats < 1 or (options.threads is not None and options.threads < 1):
        parser.error("--repeats and --threads are at least 1")
    if options.methods and options.methods != ["all"]:
        from benchmarks.plain_towers import PLAIN

        unknown = [each for each in options.methods if each not in PLAIN]
        if unknown:
            parser.error(f"--methods are all, or of {', '.join(PLAIN)}; found {unknown[0]}")
    if options.families and options.families != ["all"]:
        from benchmarks.family_steps import FAMILIES

        strange = [each for each in options.families if each not in FAMILIES]
        if strange:
            parser.error(f"--families are all, or of {', '.join(FAMILIES)}; found {strange[0]}")
    try:
        options.cases = picked(options.only)
    except ValueError as error:
        parser.error(str(error))
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    # Before torch is loaded.
    share_cores()
    keep_freed_memory()
    options = _options(arguments)
    import torch
    from rich.console import Console

    from benchmarks.measure import measure, measure_paths

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.methods:
        print_methods(options)
        return
    if options.families:
        print_families(options)
        return
    if options.paths:
        paths = measure_paths(options.repeats)
        found, shown = {"paths": [asdict(row) for row in paths]}, path_table(paths)
    else:
        rows = []
        for case in options.cases:
            rows.append(measure(case, repeats=options.repeats, memory=not options.no_memory))
            # Hours of work should not be lost with the last row.
            sys.stderr.write(f"{json.dumps(asdict(rows[-1]))}\n")
        found, shown = {"rows": [asdict(row) for row in rows]}, table(rows)
    if options.json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        # Not cut where the output is no terminal.
        console = Console()
        Console(width=None if console.is_terminal else 160).print(shown)


if __name__ == "__main__":
    main()
