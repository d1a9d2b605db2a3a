"""What settings of a search are worth on the development tasks (benchmarks/protocol.yml).

    python -m benchmarks.development --out runs/development --seeds 1 2 3

Each variant searches with the same shots and the same budget. What it finds is trained on all shots
and judged on the images of the training pool that nothing has seen; no test image is looked at.
It is trained with the recipe, and with half and twice its learning rate, to see whether an order
holds. Searches keep their ledgers and each result is kept, so an interrupted program goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.protocol import load_protocol
from benchmarks.searches import Variant, search_parser, search_tasks

__all__ = ["VARIANTS", "main"]

#: By name. The first is what others are compared with.
VARIANTS: dict[str, Variant] = {
    "darts": Variant("darts"),
    "darts, portfolio 1": Variant("darts", ("search.portfolio=1",)),
    "darts, portfolio 3": Variant("darts", ("search.portfolio=3",)),
    "darts, half the epochs": Variant("darts", ("search.epochs=30",)),
    "darts, half the epochs, portfolio 3": Variant(
        "darts", ("search.epochs=30", "search.portfolio=3")
    ),
    "manual": Variant("manual"),
    "random": Variant("random"),
    "random, portfolio 3": Variant("random", ("search.portfolio=3",)),
    "tpe": Variant("tpe"),
    "evolution": Variant("evolution"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing and print the table."""
    protocol = load_protocol()
    parser = search_parser("development", __doc__, VARIANTS)
    parser.add_argument("--tasks", nargs="+", default=list(protocol.development))
    options = parser.parse_args(arguments)
    protocol.refuse_held_out(parser, options.tasks)
    search_tasks(options, VARIANTS, "unseen")


if __name__ == "__main__":
    main()
