from pathlib import Path

import pytest

from dpl_nas.config import load_strategy
from dpl_nas.errors import SpaceError, StrategyError
from dpl_nas.io.presets import Collection, preset_names, preset_path, read_yaml
from dpl_nas.space import load_space

REPOSITORY = Path(__file__).parents[2]


def test_names_are_the_files_of_the_repository() -> None:
    parents = ("clip_vit_b16", "mini_clip")
    budgets = [f"{parent}_budget{most}" for parent in parents for most in (6, 12, 24)]
    assert preset_names("search_spaces") == sorted(
        [*parents, *budgets, "clip_vit_b16_paper", "mini_lm", "mini_vit", "vit_s16"]
    )
    assert {"darts", "darts_released"} <= set(preset_names("strategies"))


@pytest.mark.parametrize("name", preset_names("search_spaces"))
def test_spaces_are_valid(name: str) -> None:
    assert load_space(name).name == name
    assert load_space(name) == load_space(REPOSITORY / "search_spaces" / f"{name}.yml")


@pytest.mark.parametrize("name", preset_names("strategies"))
def test_strategies_are_valid(name: str) -> None:
    assert load_strategy(name).name == name


def test_spaces_hold_what_the_publication_searched() -> None:
    published = load_space("clip_vit_b16_paper").towers
    assert {tower: part.lengths for tower, part in published.items()} == {
        "image": (0, 2, 4, 6),
        "text": (0, 2, 4, 6),
    }
    for name in ("clip_vit_b16", "mini_clip"):
        for part in load_space(name).towers.values():
            assert part.lengths == tuple(range(7))
            assert part.layers == tuple(range(12))


@pytest.mark.parametrize("parent", ["clip_vit_b16", "mini_clip"])
@pytest.mark.parametrize("most", [6, 12, 24])
def test_budgets_change_nothing_else(parent: str, most: int) -> None:
    space = load_space(f"{parent}_budget{most}")
    assert space.max_context_vectors == most
    assert space.id == load_space(parent).id
    unlimited = space.model_copy(update={"name": parent, "max_context_vectors": None})
    assert unlimited == load_space(parent)


@pytest.mark.parametrize("collection", ["search_spaces", "strategies"])
def test_each_file_opens_with_the_command_that_runs_it(collection: Collection) -> None:
    for path in sorted((REPOSITORY / collection).glob("*.yml")):
        first = path.read_text().splitlines()[0]
        assert first.startswith("# dpl-nas run --task "), path
        assert path.stem in first, path
    assert len((REPOSITORY / collection / "README.md").read_text().splitlines()) == 3


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        SpaceError,
        match=r"unknown space 'mini_clpi': give one of clip_vit_b16, .* did you mean mini_clip\?",
    ):
        preset_path("search_spaces", "mini_clpi", "space", SpaceError)
    with pytest.raises(StrategyError, match="unknown strategy 'zzz': give one of"):
        preset_path("strategies", "zzz", "strategy", StrategyError)


def test_a_path_that_is_not_there() -> None:
    with pytest.raises(SpaceError, match=r"space file no/such\.yml does not exist"):
        preset_path("search_spaces", "no/such.yml", "space", SpaceError)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"a: [1, 2", "not valid YAML"),
        (b"- 1\n- 2\n", "must hold a mapping"),
        (b"", "must hold a mapping"),
        (b"\xff\xfe\x00a", "cannot read"),
        (b"a: 1\nb: 2\na: 3\n", "line 3 repeats the key a"),
        (b"a: {b: 1, b: 2}\n", "line 1 repeats the key b"),
        (b"a: !!timestamp 2020-13-45\n", "not valid YAML: line 1 has the tag !!timestamp"),
        (b"[" * 5000, "nested too deeply"),
        (b"# long\n" * 200_000, "larger than 1,000,000 bytes"),
    ],
)
def test_files_that_hold_something_else(tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "space.yml"
    file.write_bytes(content)
    with pytest.raises(SpaceError, match=complaint) as caught:
        read_yaml(file, "space", SpaceError)
    assert "\n" not in str(caught.value)
