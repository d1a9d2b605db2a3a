"""``dpl-nas backbones``: models that can carry context vectors, and in which towers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpl_nas.cli.options import JsonOption, QuietOption
from dpl_nas.cli.session import console, job, print_json
from dpl_nas.cli.tables import table
from dpl_nas.observer import Stage
from dpl_nas.space import TOWERS

if TYPE_CHECKING:
    from dpl_nas.backbone.supported import ModelFacts

__all__ = ["backbones"]


def backbones(json: JsonOption = False, quiet: QuietOption = False) -> None:
    """List models that can be the backbone: layers and width of each tower, or why it has none.

    No weights are loaded; it takes half a minute.
    """
    with job(quiet=quiet) as observer:
        from dpl_nas.backbone import list_models
        from dpl_nas.backbone.supported import model_names

        names = model_names()
        observer.begin(Stage.CHECK, len(names))
        found = []
        for done, facts in enumerate(list_models(), start=1):
            found.append(facts)
            observer.advance(Stage.CHECK, done, {}, facts.name)
        observer.end(Stage.CHECK)
    if json:
        print_json([_plain(each) for each in found])
        return
    shown = table("model", "image", "text", "why not both")
    shown.columns[3].justify, shown.columns[3].no_wrap = "left", False
    for each in found:
        reasons = [facts.reason for facts in each.towers.values() if facts.reason]
        shown.add_row(each.name, *(_told(each, tower) for tower in TOWERS), " and ".join(reasons))
    console().print(shown)
    both = sum(len(each.searchable) == len(TOWERS) for each in found)
    some = sum(bool(each.searchable) for each in found)
    console().print(
        f"{some} of {len(found)} can be searched, {both} of them in both towers (layers x width)",
        highlight=False,
    )


def _told(facts: ModelFacts, tower: str) -> str:
    own = {str(name): each for name, each in facts.towers.items()}[tower]
    return "-" if own.reason else f"{own.layers} x {own.width}"


def _plain(facts: ModelFacts) -> dict[str, object]:
    return {
        "name": facts.name,
        "searchable": list(facts.searchable),
        "towers": {
            tower: {"layers": each.layers, "width": each.width, "reason": each.reason}
            for tower, each in facts.towers.items()
        },
    }
