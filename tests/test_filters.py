"""Filters: what they forget, what they keep, and that no data stays no data."""

from typing import get_args

import pytest
import torch

from groundshift.filters import AnyFilter, HighPass, Log, Orientation, Power, Wallis, local_mean

FILTERS = [Power(), Log(), HighPass(11), Wallis(11), Orientation()]


def noise(size: int = 64) -> torch.Tensor:
    return torch.rand(size, size, generator=torch.Generator().manual_seed(1)) + 0.5


def test_every_filter_is_here() -> None:
    assert {type(f) for f in FILTERS} == set(get_args(AnyFilter))


@pytest.mark.parametrize("apply", FILTERS, ids=lambda f: type(f).__name__)
def test_no_data_stays_and_reaches_no_further_than_the_halo(apply) -> None:
    image, holed = noise(), noise()
    holed[30, 30] = torch.nan
    whole, part = apply(image), apply(holed)
    assert torch.isnan(part[30, 30])
    near = torch.zeros(64, 64, dtype=torch.bool)
    near[30 - apply.halo : 31 + apply.halo, 30 - apply.halo : 31 + apply.halo] = True
    torch.testing.assert_close(part[~near], whole[~near], equal_nan=True, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("apply", FILTERS, ids=lambda f: type(f).__name__)
def test_the_halo_is_enough(apply) -> None:
    image, h = noise(), apply.halo
    part = apply(image[10 - h : 40 + h, 20 - h : 50 + h])
    torch.testing.assert_close(
        part[h : h + 30, h : h + 30], apply(image)[10:40, 20:50], rtol=1e-4, atol=1e-5
    )


def test_local_mean_against_sums() -> None:
    image = noise()
    image[5, 5] = torch.nan
    expected = image[2:9, 3:10].flatten().nanmean()
    torch.testing.assert_close(local_mean(image, 7)[5, 6], expected)


def test_wallis_forgets_gain_and_offset() -> None:
    image = noise()
    torch.testing.assert_close(Wallis(11)(40 * image + 7), Wallis(11)(image), rtol=1e-3, atol=1e-3)


def test_orientation_forgets_contrast() -> None:
    image = noise()
    torch.testing.assert_close(Orientation()(9 * image), Orientation()(image), equal_nan=True)


def test_flat_ground_has_no_detail() -> None:
    flat = torch.full((32, 32), 7.3)
    assert HighPass(11)(flat).abs().max() == 0
    assert Wallis(11)(flat).abs().max() == 0
