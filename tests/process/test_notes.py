import warnings

import pytest

from dpl_nas.errors import DplWarning
from dpl_nas.process.notes import notes_told


def test_ours_are_lines_once_and_others_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with notes_told():
        for _ in range(2):
            warnings.warn("3 images\nwere skipped", DplWarning, stacklevel=1)
            warnings.warn("a library's", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "note: 3 images were skipped\n"


def test_afterwards_all_is_as_before() -> None:
    before = warnings.showwarning
    with notes_told():
        assert warnings.showwarning is not before
    assert warnings.showwarning is before
    with pytest.warns(DplWarning, match="again"):
        warnings.warn("again", DplWarning, stacklevel=1)
