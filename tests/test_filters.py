"""Filters: what they forget, what they keep, and that no data stays no data."""

from typing import get_args

import pytest
import torch

from groundshift.filters import (
    GRID,
    AnyFilter,
    HighPass,
    Log,
    Orientation,
    Power,
    Wallis,
    Whiten,
    local_mean,
)
from groundshift.matchers import NCC, Filtered, Gaussian
from groundshift.matchers.whole import match_whole
from groundshift.synth.fields import random_field

FILTERS = [Power(), Log(), HighPass(11), Wallis(11), Whiten(), Orientation()]


def noise(size: int = 64) -> torch.Tensor:
    return torch.rand(size, size, generator=torch.Generator().manual_seed(1)) + 0.5


def test_every_filter_is_here() -> None:
    assert {type(f) for f in FILTERS} == set(get_args(AnyFilter))


@pytest.mark.parametrize("apply", FILTERS, ids=lambda f: type(f).__name__)
def test_no_data_stays_and_reaches_no_further_than_the_halo(apply) -> None:
    image, holed, at = noise(128), noise(128), 62
    holed[at, at] = torch.nan
    whole, part = apply(image), apply(holed)
    assert torch.isnan(part[at, at])
    near = torch.zeros(128, 128, dtype=torch.bool)
    reached = slice(at - apply.halo, at + 1 + apply.halo)
    near[reached, reached] = True
    torch.testing.assert_close(part[~near], whole[~near], equal_nan=True, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("apply", FILTERS, ids=lambda f: type(f).__name__)
def test_the_halo_is_enough(apply) -> None:
    image, h = noise(128), apply.halo + -apply.halo % GRID
    part = apply(image[48 - h : 80 + h, 52 - h : 82 + h])
    torch.testing.assert_close(
        part[h : h + 32, h : h + 30], apply(image)[48:80, 52:82], rtol=1e-4, atol=1e-5
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

    def test_tiles_cannot_be_told(self) -> None:
        """Whatever the context, the grid begins where the area does."""
        matcher = Filtered(Whiten(), NCC(window=16, search=2, stride=4, peak=Gaussian()))
        reference, secondary = noise(SIZE), noise(SIZE).roll(1, 0)
        wide = matcher.match(reference, secondary, None, 56)
        for less in (1, 2, 3, 6):
            part = (slice(less, -less),) * 2
            same = matcher.match(reference[part], secondary[part], None, 56 - less)
            torch.testing.assert_close(same.dy, wide.dy, equal_nan=True, rtol=0, atol=1e-3)

    def test_what_is_fine_already_stays(self) -> None:
        image = noise(SIZE)
        assert correlation(Whiten()(image), image) > 0.99

    def test_it_forgets_an_offset_and_keeps_a_gain(self) -> None:
        image = noise(SIZE)
        expected = 25 * Whiten()(image)
        torch.testing.assert_close(Whiten()(300 + 25 * image), expected, rtol=0, atol=5e-3)

    @pytest.mark.parametrize("gain", [1e30, 1e-22])
    def test_the_largest_and_the_smallest_numbers(self, gain: float) -> None:
        image = noise(64)
        found = Whiten()(image * gain) / gain
        torch.testing.assert_close(found, Whiten()(image), rtol=0, atol=1e-4)

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
        plain = NCC(window=32, search=4, stride=8, peak=Gaussian())
        for matcher in (plain, Filtered(Whiten(), plain)):
            found = match_whole(matcher, reference, secondary)
            errors.append(float(torch.stack([found.dy, found.dx]).nan_to_num(1.0).abs().mean()))
        assert errors[1] < 0.5 * errors[0]
