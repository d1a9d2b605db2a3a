"""The strategies as they ship, on the held-out tasks (benchmarks/protocol.yml).

    python -m benchmarks.held_out --out runs/held_out --seeds 1 2 3

No setting was chosen on these tasks. Each strategy searches with its preset, the same shots and the
same budget. What it finds is trained on all shots and tested on all test images: with the recipe,
and with half and twice its learning rate, to see whether an order holds. The table has the commit
of the settings; results of another commit are refused, as the table is made once for a released
setting. Searches keep their ledgers and each result is kept, so an interrupted program goes on.

The table takes days of a core. benchmarks/rows/held_out has what was measured so far: copied to
OUT, a checkout of their commit goes on with them.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.protocol import load_protocol
from benchmarks.searches import Variant, search_parser, search_tasks

__all__ = ["VARIANTS", "main"]

#: By name. The first is what others are compared with.
VARIANTS: dict[str, Variant] = {
    "darts": Variant("darts"),
    "manual": Variant("manual"),
    "random": Variant("random"),
    "tpe": Variant("tpe"),
    "adapt": Variant("adapt"),
    "pro_vpt": Variant("pro_vpt"),
    "4 everywhere": Variant(everywhere=4),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing and print the table."""
    parser = search_parser("held_out", __doc__, VARIANTS)
    parser.add_argument("--tasks", nargs="+", default=list(load_protocol().held_out))
    search_tasks(parser.parse_args(arguments), VARIANTS, "test")


if __name__ == "__main__":
    main()
