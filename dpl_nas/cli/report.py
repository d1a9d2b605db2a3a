"""``dpl-nas report``: what is known of a classifier, as one page."""

from __future__ import annotations

from dpl_nas.cli.options import ClassifierArgument, JsonOption
from dpl_nas.cli.session import console, print_json

__all__ = ["report"]


def report(
    classifier: ClassifierArgument,
    json: JsonOption = False,
) -> None:
    """Write CLF/report.html: classes, confusions, calibration, mistakes and doubtful labels."""
    from dpl_nas.classifier.folder import known_of, write_page
    from dpl_nas.classifier.report import facts_of

    page = write_page(classifier)
    if json:
        facts = facts_of(*known_of(classifier))
        print_json({"page": str(page), **facts.as_dict()})
    else:
        console().print(f"report {page}", highlight=False)
