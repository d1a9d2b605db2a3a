import re
from pathlib import Path

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
    with pytest.raises(ConfigError, match=r"unknown method 'tip': give .*one of zero-shot"):
        make_method("tip")
    with pytest.raises(ConfigError, match=r"tip-adapter.*alpha"):
        make_method("tip-adapter", alpha=1)
    with pytest.raises(ConfigError, match="sharpness"):
        make_method("tip-adapter", sharpness=-1)
    # What compares with captions cannot do without.
    for name in ("zero-shot", "tip-adapter", "tip-adapter-f"):
        with pytest.raises(ConfigError, match="captions"):
            make_method(name, captions="none")


def test_methods_of_users_are_found_by_module_and_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_of_test.py").write_text(
        "from dpl_nas.methods.zero_shot import ZeroShot\n"
        "class Mine(ZeroShot):\n"
        "    title = 'mine'\n"
        "class Nothing:\n"
        "    pass\n"
    )
    monkeypatch.chdir(tmp_path)
    made = make_method("mine_of_test:Mine", captions="ensemble")
    assert type(made).title == "mine"
    for name, said in {
        "mine_of_test:Nothing": "should be a subclass of dpl_nas.methods.method.Method",
        "mine_of_test:Other": "method mine_of_test:Other cannot be imported (AttributeError",
        "no_such_module:Mine": "cannot be imported (ModuleNotFoundError",
    }.items():
        with pytest.raises(ConfigError, match=re.escape(said)):
            make_method(name)
