from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dpl_nas.errors import ConfigError
from dpl_nas.io.sealed_yaml import read_sealed_yaml, write_sealed_yaml

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text("abc", min_size=1), part),
    max_leaves=8,
)


def read(path: Path) -> dict[str, object]:
    return read_sealed_yaml(path, "configuration", ConfigError, "restore it")


@given(st.dictionaries(st.text("ab# :\n", min_size=1), PLAIN, max_size=4))
def test_what_is_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "value.yml"
    write_sealed_yaml(path, value)
    assert read(path) == value
    assert yaml.safe_load(path.read_text()) == value


@given(st.data())
def test_no_change_of_a_value_passes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.yml"
    value = {"seed": 12, "space": {"name": "mine", "layers": [0, 1]}, "budget": None}
    write_sealed_yaml(path, value)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        found = read(path)
    except ConfigError:
        return
    assert found == value
