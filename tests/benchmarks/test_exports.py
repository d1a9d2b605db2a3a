"""``python -m benchmarks.exports``: every format is made, and timed beside the classifier."""

import pytest

from benchmarks.exports import measure, table


@pytest.mark.slow
def test_every_format_is_beside_the_classifier() -> None:
    pytest.importorskip("onnxruntime")
    rows = measure("mini_clip", batches=(1, 2), repeats=1)
    assert [row.format for row in rows] == ["classifier", "onnx", "pt2"]
    assert all(row.seconds[count] > 0 for row in rows for count in (1, 2))
    # Exports have the image tower in them.
    assert rows[0].bytes < 200_000
    assert min(row.bytes for row in rows[1:]) > 1_000_000
    lines = table(rows)
    assert len(lines) == 5
    assert lines[2].startswith("| mini_clip | classifier | ")
    assert lines[2].endswith(" kB | 1.00 | 1.00 |")
