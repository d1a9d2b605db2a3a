import re
from collections import OrderedDict

import pytest

from dpl_nas.errors import ConfigError
from dpl_nas.io.classes import import_class


def test_a_class_is_found_in_its_module() -> None:
    found = import_class("collections:OrderedDict", (dict,), "thing", ConfigError)
    assert found is OrderedDict
    assert import_class("string:Formatter.format.__class__", (object,), "thing", ConfigError)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("collections:Counter.most", "thing collections:Counter.most cannot be imported (Attr"),
        ("no_such_module:Thing", "cannot be imported (ModuleNotFoundError"),
        ("collections", "cannot be imported"),
        (":Thing", "cannot be imported (ValueError"),
        ("collections:namedtuple", "should be a subclass of builtins.dict: give such a class"),
        ("collections:deque", "should be a subclass of builtins.dict"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        import_class(name, (dict,), "thing", ConfigError)
