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
    "darts, no portfolio": Variant("darts", ("search.portfolio=0",)),
    "darts, no children": Variant("darts", ("search.children=0", "search.shortlist=16")),
    "darts, children by chance": Variant("darts", ("search.guided=false",)),
    "darts, no finals": Variant("darts", ("search.finalists=0",)),
    "bayesian": Variant("bayesian"),
    "darts, 60 epochs": Variant("darts", ("search.epochs=60",)),
    "darts, half trials": Variant("darts", ("search.trial_share=0.5",)),
    "darts, whole trials": Variant("darts", ("search.trial_share=1.0",)),
    "darts as before": Variant(
        "darts",
        (
            "search.portfolio=0",
            "search.finalists=0",
            "search.children=0",
            "search.shortlist=16",
            "search.epochs=60",
            "search.trial_share=1.0",
        ),
    ),
    "manual": Variant("manual"),
    "random": Variant("random"),
    "evolution": Variant("evolution"),
    "tpe": Variant("tpe"),
    "adapt": Variant("adapt"),
    "pro_vpt": Variant("pro_vpt"),
    "one_tower": Variant("one_tower"),
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
