"""What a classifier says of pictures, one by one; what cannot be read is told, not skipped."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dpl_nas.classifier.model import ImageClassifier
from dpl_nas.classifier.pictures import Pictures
from dpl_nas.classifier.saved import ClassifierMetadata
from dpl_nas.errors import DplWarning
from dpl_nas.io.reprs import short_repr

__all__ = ["UNKNOWN", "Prediction", "predict_each", "predictions_csv"]

#: The answer for a picture that is like none that was learned from.
UNKNOWN = "unknown"
#: Columns of a table; those of the classes are before the last.
_COLUMNS = ("path", "label", "probability", "error")


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of a picture.

    Attributes
    ----------
    path
        Path, or number, of the picture.
    label
        Most likely label, or ``unknown``; ``None`` if the picture cannot be read.
    probabilities
        Probability of each class in the order of the labels; empty if it cannot be read.
    error
        Why it cannot be read.
    """

    path: str
    label: str | int | None = None
    probabilities: tuple[float, ...] = ()
    error: str | None = None

    __repr__ = short_repr

    @property
    def probability(self) -> float | None:
        """Probability of the most likely class."""
        return max(self.probabilities, default=None)


def predict_each(
    classifier: ImageClassifier,
    labels: Sequence[str] | Sequence[int],
    pictures: Pictures,
    *,
    threshold: float = 0.0,
    batch_size: int = 100,
) -> Iterator[Prediction]:
    """Yield a prediction for each picture, in their order.

    Parameters
    ----------
    threshold
        Probability below which a picture is unknown.
    """
    done = 0
    for pixels, told in pictures.pixels(classifier.backbone, batch_size):
        rows = iter(classifier.probabilities(pixels).tolist() if len(pixels) else [])
        for error in told:
            path = str(pictures[done])
            done += 1
            if error is not None:
                yield Prediction(path, error=str(error))
                continue
            row = tuple(next(rows))
            best = max(range(len(row)), key=row.__getitem__)
            yield Prediction(path, UNKNOWN if row[best] < threshold else labels[best], row)


def predictions_csv(metadata: ClassifierMetadata, found: Sequence[Prediction]) -> str:
    """Return a table: path, label, probability, a probability for each class, and the error.

    If a class has the name of another column, all classes are called ``class <label>``, and a
    warning says so.
    """
    classes = [str(label) for label in metadata.labels]
    if clashing := sorted({*_COLUMNS} & {*classes}):
        warnings.warn(
            f"the table has columns {', '.join(_COLUMNS)}, so those of the classes are called "
            f"'class {clashing[0]}' and so on",
            DplWarning,
            stacklevel=2,
        )
        classes = [f"class {label}" for label in classes]
    *first, last = _COLUMNS
    lines = [_line([*first, *classes, last])]
    for each in found:
        shares = [f"{share:.6f}" for share in each.probabilities] or [""] * len(metadata.labels)
        top = "" if each.probability is None else f"{each.probability:.6f}"
        label = "" if each.label is None else each.label
        lines.append(_line([each.path, label, top, *shares, each.error or ""]))
    return "".join(lines)


def _line(values: Sequence[object]) -> str:
    # Python quotes the line ends that it writes itself: with "\n" alone, no carriage return of a
    # name is quoted.
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\r\n").writerow(values)
    return stream.getvalue().removesuffix("\r\n") + "\n"
