"""The table of predictions: its columns, and names that must be quoted."""

import csv
import io
import warnings

import pytest

from dpl_nas.classifier.predictions import Prediction, predictions_csv
from dpl_nas.classifier.saved import ClassifierMetadata
from dpl_nas.errors import DplWarning
from tests.classifier.test_report import metadata


def _with(*labels: str) -> ClassifierMetadata:
    return metadata().model_copy(update={"labels": labels})


def test_every_cell_is_read_as_it_was_written() -> None:
    paths = ["a\rb.png", "c\nd.png", '"e",.png', "f\r\n.png", ""]
    found = [Prediction(path, "x", (0.5, 0.25, 0.25)) for path in paths]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = predictions_csv(_with("x", "y", "z"), found)
    assert text.startswith("path,label,probability,x,y,z,error\n")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert [row[0] for row in rows[1:]] == paths
    assert {len(row) for row in rows} == {7}


def test_no_two_columns_have_one_name() -> None:
    with pytest.warns(DplWarning, match="those of the classes are called 'class error' and so on"):
        text = predictions_csv(_with("path", "error", "class path"), [])
    header = text.rstrip("\n").split(",")
    assert header[3:] == ["class path", "class error", "class class path", "error"]
    assert len(set(header)) == len(header)
