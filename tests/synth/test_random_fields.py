"""Random fields against the theory they are made from."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import gamma, kstest

from groundshift.synth.fields import (
    FARTHEST,
    TABLE,
    from_quantiles,
    gamma_quantiles,
    random_field,
    smoothed,
)


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def power_slope(field: torch.Tensor, low: float, high: float) -> float:
    """Exponent of the radial power spectrum between two frequencies, cycles per pixel."""
    power = torch.fft.fft2(field).abs() ** 2
    ky, kx = torch.meshgrid(*(torch.fft.fftfreq(n) for n in field.shape), indexing="ij")
    k = torch.hypot(ky, kx)
    edges = np.geomspace(low, high, 12)
    rings = [(k >= a) & (k < b) for a, b in pairwise(edges)]
    x = [math.log(float(k[ring].mean())) for ring in rings]
    y = [math.log(float(power[ring].mean())) for ring in rings]
    return float(np.polyfit(x, y, 1)[0])


@pytest.mark.parametrize("hurst", [0.3, 0.85])
def test_fractal_below_the_correlation_length(hurst: float) -> None:
    field = random_field((512, 512), hurst, 1000.0, generator())
    assert power_slope(field, 0.02, 0.45) == pytest.approx(-(2 * hurst + 2), abs=0.05)


def test_white_beyond_it() -> None:
    field = random_field((512, 512), 0.5, 0.5, generator())
    assert power_slope(field, 0.01, 0.05) == pytest.approx(0, abs=0.15)


def test_exponential_correlation() -> None:
    fields = [random_field((512, 512), 0.5, 6.0, generator(seed)) for seed in range(4)]
    for lag in (6, 12):
        for axis in (0, 1):
            found = np.mean([float((f * f.roll(lag, axis)).mean()) for f in fields])
            assert found == pytest.approx(math.exp(-lag / 6), abs=0.03)


def test_zero_mean_and_unit_variance() -> None:
    field = random_field((300, 401), 0.5, 2.0, generator())
    assert abs(float(field.mean())) < 1e-4
    assert float(field.var()) == pytest.approx(1, abs=0.05)


def test_smoothness_takes_detail_away() -> None:
    rough, smooth = (random_field((256, 256), 0.5, 50.0, generator(), s) for s in (0.0, 3.0))
    gains = [torch.fft.rfft2(f).abs()[40, 40] for f in (rough, smooth)]
    large = [torch.fft.rfft2(f).abs()[2, 2] for f in (rough, smooth)]
    k2 = (2 * math.pi) ** 2 * 2 * (40**2 - 2**2) / 256**2
    found = (gains[1] / gains[0]) / (large[1] / large[0])
    assert float(found) == pytest.approx(math.exp(-0.5 * 9 * k2), rel=0.02)


@pytest.mark.parametrize("shape", [1.2, 8.0])
def test_gamma_texture(shape: float) -> None:
    normal = torch.randn(200_000, generator=generator())
    texture = from_quantiles(normal, gamma_quantiles(shape)).double()
    assert float(texture.mean()) == pytest.approx(1, abs=0.01)
    assert float(texture.var()) == pytest.approx(1 / shape, rel=0.02)
    skewness = float(((texture - 1) ** 3).mean() / texture.std() ** 3)
    assert skewness == pytest.approx(2 / math.sqrt(shape), rel=0.05)
    assert kstest(texture.numpy(), gamma(shape, scale=1 / shape).cdf).pvalue > 0.01


def test_gamma_texture_correlates_as_hermite_series_say() -> None:
    """Correlation of g(u), g(v) for normal u, v of correlation r: sum of c_k^2 r^k."""
    shape, lag, length = 2.0, 5, 8.0
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    table = gamma_quantiles(shape)
    g = from_quantiles(torch.from_numpy(nodes).float(), table).numpy()
    coefficients = [
        (weights * g * np.polynomial.hermite_e.HermiteE.basis(k)(nodes)).sum() ** 2
        / math.factorial(k)
        for k in range(1, 12)
    ]
    r = math.exp(-lag / length)
    expected = sum(c * r**k for k, c in enumerate(coefficients, 1)) / sum(coefficients)
    found = []
    for seed in range(6):
        texture = from_quantiles(random_field((512, 512), 0.5, length, generator(seed)), table)
        centred = texture - texture.mean()
        found.append(float((centred * centred.roll(lag, 1)).mean() / centred.var()))
    assert np.mean(found) == pytest.approx(expected, abs=0.025)


def test_a_distribution_for_each_label() -> None:
    tables = torch.stack([torch.zeros(TABLE), torch.linspace(-FARTHEST, FARTHEST, TABLE)])
    normal = torch.randn((40, 50), generator=generator())
    label = torch.arange(50).expand(40, 50) % 2
    result = from_quantiles(normal, tables, label)
    assert (result[:, ::2] == 0).all()
    torch.testing.assert_close(result[:, 1::2], normal[:, 1::2], atol=1e-5, rtol=0)


def test_blur_of_a_point_is_a_gaussian() -> None:
    image = torch.zeros(33, 33)
    image[16, 16] = 1
    blurred = smoothed(image, 1.5)
    assert float(blurred.sum()) == pytest.approx(1, abs=1e-5)
    y, x = torch.meshgrid(torch.arange(33.0) - 16, torch.arange(33.0) - 16, indexing="ij")
    expected = torch.exp(-0.5 * (y**2 + x**2) / 1.5**2)
    torch.testing.assert_close(blurred, expected / expected.sum(), atol=2e-5, rtol=0)


def test_same_seed_same_field() -> None:
    a, b = (random_field((32, 48), 0.5, 4.0, generator(7)) for _ in range(2))
    assert torch.equal(a, b)
