"""Sentinel-1's products against what is measured of real ones."""

import pytest
import torch

from groundshift.synth import sentinel1
from groundshift.synth.motions import Constant
from groundshift.synth.radar import Surface, acquire

SWATHS = (1, 2, 3)


def intensities(radar, coherence=0.6, size=448, motion=None):
    one = torch.tensor(1.0)
    surface = Surface(torch.tensor(coherence), one, one, torch.tensor(0j))
    generator = torch.Generator().manual_seed(5)
    pair = acquire(radar, surface, motion or Constant(), size, generator)
    return pair.reference.double() ** 2, pair.secondary.double() ** 2


def correlation(a, b):
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def samples(image):
    """Independent samples in a pixel: one over the sum of the correlation with all neighbours."""
    about = image - image.mean()
    power = torch.fft.fft2(about).abs() ** 2
    shown = torch.fft.ifft2(power).real
    near = shown / shown[0, 0]
    inner = torch.cat([near[:8], near[-7:]])
    return 1 / float(torch.cat([inner[:, :8], inner[:, -7:]], 1).sum())


@pytest.mark.parametrize("swath", SWATHS)
def test_looks_of_a_ground_range_product(swath):
    image, _ = intensities(sentinel1.grd(swath))
    assert float(image.mean() ** 2 / image.var()) == pytest.approx(4.87, rel=0.02)


@pytest.mark.parametrize(("swath", "expected"), [(1, 0.375), (2, 0.335), (3, 0.298)])
def test_samples_in_a_pixel_of_an_slc(swath, expected):
    assert samples(intensities(sentinel1.slc(swath))[0]) == pytest.approx(expected, rel=0.08)


def test_samples_in_a_pixel_of_a_ground_range_product():
    image, _ = intensities(sentinel1.grd(2))
    assert samples(image) == pytest.approx(0.155, rel=0.08)
    assert correlation(image[1:], image[:-1]) == pytest.approx(0.65, abs=0.03)
    assert correlation(image[:, 1:], image[:, :-1]) == pytest.approx(0.59, abs=0.03)


@pytest.mark.parametrize("motion", [(0.0, 0.5), (0.5, 0.0), (0.0, 1.0), (1.0, 0.0)])
def test_what_misregistration_leaves(motion):
    """Correlation of intensities falls by the square of what the response leaves."""
    left = {(0.0, 0.5): 0.864, (0.5, 0.0): 0.898, (0.0, 1.0): 0.541, (1.0, 0.0): 0.641}[motion]
    found = correlation(*intensities(sentinel1.slc(2), 0.9, motion=Constant(*motion)))
    assert found == pytest.approx(0.81 * left**2, abs=0.02)
