from dpl_nas.space import Architecture, load_space

SPACE = load_space("mini_clip")


def turned(architecture: Architecture) -> Architecture:
    """The same with its towers in the other order, as a file may have them."""
    return architecture.model_copy(
        update={
            "layers": dict(reversed(architecture.layers.items())),
            "lengths": dict(reversed(architecture.lengths.items())),
        }
    )


def test_equal_ones_are_one_in_a_set() -> None:
    one, other = SPACE.uniform(2), turned(SPACE.uniform(2))
    assert one == other
    assert one.key == other.key
    assert {one, other} == {one}
    assert len({one, SPACE.uniform(3)}) == 2


def test_lengths_by_label_make_it_again() -> None:
    architecture = SPACE.uniform(4)
    assert architecture.by_label()["text/11"] == 4
    assert SPACE.architecture(architecture.by_label()) == architecture
    assert SPACE.architecture_of(turned(architecture).lengths) == architecture
