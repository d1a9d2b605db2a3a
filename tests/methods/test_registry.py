import pytest

from dpl_nas.errors import ConfigError
from dpl_nas.methods import METHODS, make_method, method_class


@pytest.mark.parametrize("name", METHODS)
def test_every_name_makes_a_method_with_its_paper(name: str) -> None:
    made = make_method(name)
    assert isinstance(made, method_class(name))
    assert made.title
    assert any(character.isdigit() for character in made.paper), "a year"
    assert make_method(name) == made


def test_unknown_names_and_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown method 'tip': give one of zero-shot"):
        make_method("tip")
    with pytest.raises(ConfigError, match=r"tip-adapter.*alpha"):
        make_method("tip-adapter", alpha=1)
    with pytest.raises(ConfigError, match="sharpness"):
        make_method("tip-adapter", sharpness=-1)
    # What compares with captions cannot do without.
    for name in ("zero-shot", "tip-adapter", "tip-adapter-f"):
        with pytest.raises(ConfigError, match="captions"):
            make_method(name, captions="none")
