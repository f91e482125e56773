"""Sums over windows against plain loops, and what the kernels promise."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundshift.boxes import box_sum, cell_sum
from groundshift.errors import MatcherError
from groundshift.matchers.windows import (
    Window,
    base_cell,
    centred,
    kernel_of,
    noise_of_difference,
    quadratic_sums,
    window_sums,
)


@given(size=st.integers(1, 13), step=st.integers(1, 4), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_box_sum_equals_a_loop(size: int, step: int, seed: int) -> None:
    plane = torch.rand(17, 19, generator=torch.Generator().manual_seed(seed))
    expected = plane.unfold(0, size, step).unfold(1, size, step).sum((-1, -2))
    torch.testing.assert_close(box_sum(plane, size, step), expected)


@pytest.mark.parametrize(("side", "stride"), [(12, 4), (20, 4), (33, 11), (32, 8), (4, 8)])
def test_windows_lie_around_the_centres_of_cells(side: int, stride: int) -> None:
    base = base_cell(stride, (side,))
    context = -(-max(0, side - stride) // 2 // base) * base
    size = 4 * stride + 2 * context
    plane = torch.rand(size, size, generator=torch.Generator().manual_seed(1))
    found = window_sums(cell_sum(plane, base), side, stride, base, context)
    first = context + (stride - side) // 2
    expected = plane[first:, first:].unfold(0, side, stride).unfold(1, side, stride)[:4, :4]
    torch.testing.assert_close(found, expected.sum((-1, -2)))


def test_a_quadratic_keeps_its_centre() -> None:
    rows = torch.arange(48.0) - 23.5
    y, x = torch.meshgrid(rows, rows, indexing="ij")
    plane = 0.3 + 0.1 * x - 0.2 * y + 0.01 * x * x + 0.02 * x * y - 0.03 * y * y
    found, _ = quadratic_sums(cell_sum(plane, 4) / 16, 24, 8, 4, 12)
    expected = cell_sum(plane[12:-12, 12:-12], 8) / 64
    # The mean over a cell of 4 px bends too, by 16 / 12 of the second derivatives.
    assert (found / 36 - expected).abs().max() < 0.12
    assert found.shape == expected.shape


def test_noise_of_quadratic_windows_is_as_told() -> None:
    noise = torch.randn(400, 400, generator=torch.Generator().manual_seed(1))
    found, cells = quadratic_sums(noise, 29, 1, 1, 14)
    assert abs(float((found / 29**2).std()) / cells**-0.5 - 1) < 0.1


def test_nested_windows_share_noise() -> None:
    noise = torch.randn(300, 300, generator=torch.Generator().manual_seed(2))
    small, large = Window(5), Window(15)
    means = [box_sum(noise, w.side) / w.side**2 for w in (small, large)]
    inner = means[0][5:-5, 5:-5] - means[1]
    measured = float(inner.var() / means[0].var())
    assert abs(measured - noise_of_difference(small, large, 1)) < 0.05
    assert abs(float(kernel_of(Window(15, 2), 1).sum()) - 1) < 1e-5


def test_centring_survives_a_large_offset() -> None:
    small = torch.rand(32, 32, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(centred(small * 64 + 8192), centred(small), rtol=0, atol=1e-3)
    assert centred(torch.full((4, 4), 3.0)).abs().max() == 0


def test_windows_that_cannot_be_centred() -> None:
    with pytest.raises(MatcherError, match="use an odd window"):
        base_cell(7, (12,))


@pytest.mark.parametrize("scale", [1e-16, 1e19, 3e37])
def test_any_size_of_numbers_is_brought_to_one(scale: float) -> None:
    image = torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(centred(image * scale), centred(image), atol=1e-5)


def test_what_is_infinite_is_missing() -> None:
    image = torch.tensor([[1.0, 2.0], [3.0, torch.inf]])
    found = centred(image)
    assert bool(found[1, 1].isnan())
    assert float(found.nansum()) == pytest.approx(0, abs=1e-6)
