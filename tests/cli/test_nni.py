"""``dpl-nas nni`` and ``dpl-nas space nni``, without an experiment."""

from pathlib import Path

import pytest
import yaml

from dpl_nas.nni.search_space import nni_search_space, tuner_settings
from dpl_nas.space import load_space


def test_the_search_space_as_yaml_and_json(call) -> None:
    expected = nni_search_space(load_space("mini_clip"))
    told = call("space", "nni", "mini_clip")
    assert (told.code, told.err) == (0, "")
    assert yaml.safe_load(told.out) == expected
    told = call("space", "nni", "mini_clip", "--json")
    assert (told.code, told.err) == (0, "")
    assert told.json == expected


def test_the_tuner_of_a_budget(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "own.yml"
    file.write_text("towers: {text: {layers: [0, 1], lengths: [0, 1]}}\nmax_context_vectors: 1\n")
    monkeypatch.chdir(tmp_path)
    for name, where in (("mini_clip_budget12", "mini_clip_budget12"), ("own.yml", str(file))):
        told = call("space", "nni", name)
        assert told.code == 0
        assert yaml.safe_load(told.out) == nni_search_space(load_space(name))
        first, *comment = [line for line in told.out.splitlines() if line.startswith("# ")]
        most = 12 if name.startswith("mini") else 1
        assert first == (
            f"# NNI's own tuners do not know the limit of at most {most} context vectors. "
            "Use this tuner:"
        )
        tuner = yaml.safe_load("\n".join(line.removeprefix("# ") for line in comment))
        assert tuner == {"tuner": tuner_settings(where)}
        told = call("space", "nni", name, "--json")
        assert told.json == nni_search_space(load_space(name))
        assert told.err.startswith(first)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("space", "nni", "mini_clpi"), "unknown space 'mini_clpi'"),
        (("nni", "watch", "no-such-id"), "there is no experiment no-such-id"),
        (("nni", "watch", "--port", "9"), "no NNI experiment answers at 127.0.0.1:9"),
        (("nni", "watch", "--port", "0"), "Invalid value for '--port'"),
        (("nni", "export", "--port", "9", "--out", "OUT"), "answers at 127.0.0.1:9"),
        (("nni", "export", "no-such-id", "--out", "OUT"), "there is no experiment no-such-id"),
        (("nni", "export", "--port", "9"), "Missing option '--out'"),
    ],
)
def test_bad_input(call, tmp_path: Path, arguments: tuple[str, ...], complaint: str) -> None:
    out = tmp_path / "out"
    outcome = call(*[str(out) if each == "OUT" else each for each in arguments])
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert complaint in outcome.err
    assert not out.exists()
