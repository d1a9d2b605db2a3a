import torch

from dpl_nas.mini import warps


def images() -> torch.Tensor:
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_what_is_done_twice_is_undone() -> None:
    given = images()
    for warp in (warps.turn_upside_down, warps.mirror, warps.swap_halves):
        assert not torch.equal(warp(given), given)
        assert torch.equal(warp(warp(given)), given)


def test_a_filter_keeps_greys_and_turns_red_to_green() -> None:
    grey = torch.full((1, 3, 2, 2), 0.4)
    assert torch.equal(warps.filter_colours(grey), grey)
    red = torch.zeros(1, 3, 2, 2)
    red[:, 0] = 1
    assert warps.filter_colours(red)[0, :, 0, 0].tolist() == [0, 1, 0]


def test_four_copies() -> None:
    result = warps.tile(images())
    assert result.shape == (2, 3, 8, 8)
    assert torch.equal(result[..., :4, :4], result[..., 4:, 4:])


def test_tilting_by_a_quarter_and_squeezing() -> None:
    given = images()
    assert torch.allclose(warps.tilt(given, 0), given, atol=1e-6)
    assert torch.allclose(warps.tilt(given, 90), torch.rot90(given, 1, (2, 3)), atol=1e-5)
    narrow = warps.squeeze(given, 0.5)
    # Beyond the narrowed picture its border goes on.
    assert torch.allclose(narrow[..., 0], narrow[..., 1])
    assert narrow.shape == given.shape
