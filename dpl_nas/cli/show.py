"""``dpl-nas show``: what a classifier is."""

from __future__ import annotations

from dpl_nas.cli.options import ClassifierArgument, JsonOption
from dpl_nas.cli.session import console, print_json
from dpl_nas.cli.tables import show_classifier

__all__ = ["show"]


def show(
    classifier: ClassifierArgument,
    json: JsonOption = False,
) -> None:
    """Show the classes of a classifier, what it was made of, and what it was compared with."""
    from dpl_nas.classifier.folder import result_in
    from dpl_nas.classifier.saved import SavedClassifier

    metadata = SavedClassifier.load(classifier).metadata
    result = result_in(classifier)
    if json:
        test = None if result is None else result.model_dump(mode="json")["test"]
        print_json({**metadata.model_dump(mode="json"), "test": test})
    else:
        show_classifier(console(), metadata, result)
