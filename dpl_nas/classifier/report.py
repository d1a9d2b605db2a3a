"""The report of a classifier: one page that needs neither a network nor scripts."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from dpl_nas.classifier.calibration import Bin, calibration_error, fit_temperature, reliability
from dpl_nas.classifier.held import Held
from dpl_nas.classifier.saved import ClassifierMetadata
from dpl_nas.io.pages import render_page
from dpl_nas.io.reprs import short_repr

__all__ = ["ClassRow", "Facts", "facts_of", "report_page"]

#: The most pictures of each kind.
_MOST = 12
#: Bins of the reliability curve.
_BINS = 10


@dataclass(frozen=True)
class ClassRow:
    """Precision, recall and F1 of a class, shares in 0..1, and its number of pictures."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int

    __repr__ = short_repr


@dataclass(frozen=True)
class Facts:
    """What a report says in numbers, all by cross-fitting.

    Attributes
    ----------
    classes
        A row for each class.
    confusion
        Number of pictures by own class and by answer, ``[class][answer]``.
    error_before, error
        Expected calibration error without and with the temperature, in 0..1. The temperature of
        each half of the pictures is that of the other half.
    curve
        Reliability curve of the calibrated probabilities.
    """

    accuracy: float
    classes: tuple[ClassRow, ...]
    confusion: tuple[tuple[int, ...], ...]
    error_before: float
    error: float
    curve: tuple[Bin, ...]

    __repr__ = short_repr

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "accuracy": self.accuracy,
            "classes": [vars(each) for each in self.classes],
            "confusion": [list(row) for row in self.confusion],
            "calibration_error_before": self.error_before,
            "calibration_error": self.error,
            "reliability": [vars(each) for each in self.curve],
        }


def facts_of(metadata: ClassifierMetadata, held: Held) -> Facts:
    """Return the numbers of a report."""
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    truth, found = held.labels.numpy(), held.logits.argmax(dim=1).numpy()
    numbers = list(range(len(metadata.labels)))
    columns = precision_recall_fscore_support(truth, found, labels=numbers, zero_division=0.0)
    calibrated = _calibrated(held.logits, held.labels)
    return Facts(
        accuracy=float((truth == found).mean()),
        classes=tuple(
            ClassRow(str(label), float(precision), float(recall), float(f1), int(support))
            for label, precision, recall, f1, support in zip(metadata.labels, *columns, strict=True)
        ),
        confusion=tuple(
            tuple(map(int, row)) for row in confusion_matrix(truth, found, labels=numbers)
        ),
        error_before=calibration_error(held.logits.softmax(dim=1), held.labels),
        error=calibration_error(calibrated, held.labels),
        curve=tuple(reliability(calibrated, held.labels, _BINS)),
    )


def report_page(metadata: ClassifierMetadata, held: Held, tested: str | None = None) -> str:
    """Return the page: HTML with all pictures inside.

    Parameters
    ----------
    tested
        Sentence on the test.
    """
    facts = facts_of(metadata, held)
    most = max((count for row in facts.confusion for count in row), default=1) or 1
    return render_page(
        "dpl_nas.classifier",
        "report.html.j2",
        m=metadata,
        facts=facts,
        most=most,
        tested=tested,
        mistakes=_shown(metadata, held, held.mistakes),
        doubtful=_shown(metadata, held, held.doubtful),
        counts={"mistakes": len(held.mistakes), "doubtful": len(held.doubtful)},
        percent=lambda share: f"{share:.1%}",
    )


def _calibrated(logits: Tensor, labels: Tensor) -> Tensor:
    """Probabilities, each by the temperature of the other half of the pictures."""
    found = torch.zeros_like(logits, dtype=torch.float64)
    # Within a class every second one, so that both halves have all classes.
    order = labels.argsort(stable=True)
    halves = order[::2], order[1::2]
    for own, other in (halves, halves[::-1]):
        temperature = fit_temperature(logits[other], labels[other]) if len(other) else 1.0
        found[own] = (logits[own].double() / temperature).softmax(dim=1)
    return found


def _shown(metadata: ClassifierMetadata, held: Held, rows: Sequence[int]) -> list[dict[str, str]]:
    """What is said of the first few pictures."""
    found = []
    shares, answers = held.probabilities.max(dim=1)
    for row in [each for each in rows if each in held.thumbnails][:_MOST]:
        own = int(held.labels[row])
        found.append(
            {
                "place": held.places[row],
                "label": str(metadata.labels[own]),
                "answer": str(metadata.labels[int(answers[row])]),
                "share": f"{float(shares[row]):.0%}",
                "own": f"{float(held.probabilities[row, own]):.0%}",
                "data": _encoded(held.thumbnails[row]),
            }
        )
    return found


def _encoded(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")
