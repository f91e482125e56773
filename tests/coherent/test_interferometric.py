"""Coherence of complex images: corrected, through fringes, tiled."""

import math

import numpy as np
import pytest
import torch

from groundshift import tile
from groundshift.coherent import Interferometric, Windowed
from groundshift.errors import GroundshiftError


def pair(coherence, size=256, seed=0, fringes=(0.0, 0.0), band=1.0):
    generator = torch.Generator().manual_seed(seed)
    inside = (torch.fft.fftfreq(size).abs() <= band / 2).float()
    white = torch.view_as_complex(torch.randn(2, size, size, 2, generator=generator))
    kept, lost = torch.fft.ifft2(torch.fft.fft2(white) * inside[:, None] * inside)
    other = coherence * kept + math.sqrt(1 - coherence**2) * lost
    at = torch.arange(size, dtype=torch.float32)
    phase = fringes[0] * at[:, None] + fringes[1] * at
    return kept.numpy(), (other * torch.polar(torch.ones_like(phase), phase)).numpy()


def found(operator, images, **settings):
    planes = tile.map_pair(operator, *images, **settings)
    return [plane.compute() for plane in planes]


@pytest.mark.parametrize("coherence", [0.0, 0.3, 0.6, 0.9])
def test_the_expectation_of_few_samples_is_taken_off(coherence):
    images = pair(coherence)
    plain, _, _ = found(Interferometric(5, samples=0), images)
    corrected, sigma, valid = found(Interferometric(5), images)
    inner = (slice(4, -4), slice(4, -4))
    assert abs(corrected[inner].mean() - coherence) < max(0.02, 0.13 * (coherence == 0))
    assert abs(corrected[inner].mean() - coherence) <= abs(plain[inner].mean() - coherence) + 0.01
    if coherence >= 0.6:
        ratio = np.abs(corrected[inner] - coherence) / sigma[inner]
        assert (ratio < 1).mean() == pytest.approx(0.68, abs=0.06)
    assert valid[inner].mean() == pytest.approx(0.05, abs=0.03) if coherence == 0 else True


def test_samples_of_an_image_that_is_not_white():
    images = pair(0.5, band=0.58)
    corrected, _, _ = found(Interferometric(9, samples=0.58**2), images)
    assert corrected[6:-6, 6:-6].mean() == pytest.approx(0.5, abs=0.02)


def test_fringes_are_removed():
    images = pair(0.8, fringes=(0.25, -0.4))
    blind, _, _ = found(Interferometric(9), images)
    seeing, _, _ = found(Interferometric(9, fringes=21), images)
    inner = (slice(20, -20), slice(20, -20))
    assert blind[inner].mean() < 0.4
    assert seeing[inner].mean() == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("operator", [Interferometric(7), Interferometric(5, fringes=11)])
def test_tiles_cannot_be_told_and_no_data_stays(operator):
    one, other = (each.copy() for each in pair(0.7, 120))
    one[30:60, 40:80] = np.nan
    whole, parts = (found(operator, (one, other), tile=size) for size in (128, 32))
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert np.isnan(whole[0][38:52, 48:72]).all()


def test_what_cannot_be():
    with pytest.raises(GroundshiftError, match="not complex numbers"):
        tile.map_pair(Interferometric(), np.ones((64, 64)), np.ones((64, 64)))
    with pytest.raises(GroundshiftError, match="detect its amplitude first"):
        tile.map_pair(Windowed(), *pair(0.5, 64))
    with pytest.raises(GroundshiftError, match="odd"):
        Interferometric(8)
    with pytest.raises(GroundshiftError, match="one sample at most"):
        Interferometric(samples=2)
    with pytest.raises(GroundshiftError, match="such as 21"):
        Interferometric(fringes=8)
