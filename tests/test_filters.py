"""Filters: what they forget, what they keep, and that no data stays no data."""

from typing import get_args

import pytest
import torch

from groundshift.filters import (
    AnyFilter,
    HighPass,
    Log,
    Orientation,
    Power,
    Wallis,
    Whiten,
    local_mean,
)
from groundshift.matchers import Filtered, default
from groundshift.matchers.whole import match_whole
from groundshift.synth.fields import random_field

FILTERS = [Power(), Log(), HighPass(11), Wallis(11), Whiten(window=7), Orientation()]


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
    image, h = noise(96), apply.halo
    part = apply(image[30 - h : 60 + h, 35 - h : 65 + h])
    torch.testing.assert_close(
        part[h : h + 30, h : h + 30], apply(image)[30:60, 35:65], rtol=1e-4, atol=1e-5
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
    assert Whiten()(flat).abs().max() == 0


SIZE = 160


def field(seed: int, hurst: float, length: float, smoothness: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return random_field((SIZE, SIZE), hurst, length, generator, smoothness=smoothness)


def correlation(one: torch.Tensor, two: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), two.flatten()]))[0, 1])


class TestWhiten:
    def test_strong_coarse_structure_is_lowered(self) -> None:
        fine = noise(SIZE)
        image = fine + 6 * field(1, 0.9, 60.0, 6.0)
        assert correlation(image, fine) < 0.2
        # Two bands are as strong now, of which one is what is asked for.
        assert correlation(Whiten()(image), fine) > 0.55

    def test_what_is_fine_already_stays(self) -> None:
        image = noise(SIZE)
        assert correlation(Whiten()(image), image) > 0.99

    def test_it_forgets_an_offset_and_keeps_a_gain(self) -> None:
        image = noise(SIZE)
        expected = 25 * Whiten()(image)
        torch.testing.assert_close(Whiten()(300 + 25 * image), expected, rtol=0, atol=5e-3)

    def test_around_the_data_counts_like_the_end_of_the_image(self) -> None:
        image, edge = noise(96), 20
        wide = torch.nn.functional.pad(image, (edge,) * 4, value=torch.nan)
        inner = (slice(edge, -edge),) * 2
        torch.testing.assert_close(Whiten()(wide)[inner], Whiten()(image), rtol=0, atol=1e-4)

    def test_two_dates_of_shaded_relief_agree(self) -> None:
        """Fine texture is common, shading is not."""
        texture = field(7, 0.2, 8.0, 1.0)
        reference, secondary = (texture + 6 * field(seed, 0.9, 60.0, 2.0) for seed in (8, 9))
        errors = []
        for matcher in (default(search=4), Filtered(Whiten(), default(search=4))):
            found = match_whole(matcher, reference, secondary)
            errors.append(float(torch.stack([found.dy, found.dx]).nan_to_num(1.0).abs().mean()))
        assert errors[1] < 0.5 * errors[0]
