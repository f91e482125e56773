"""Speckle statistics against theory, and rendered motion against its truth."""

import math

import pytest
import torch

from groundshift.synth import Constant
from groundshift.synth.radar import MARGIN, Radar, Surface, acquire, true_coherence
from groundshift.synth.sample import speckle_sample

RADARS = {
    "oversampled": Radar(bandwidth=0.4),
    "five looks": Radar(bandwidth=0.5, window=0.73, looks=5),
    "aliased": Radar(bandwidth=0.8, fine=2),
    "averaged": Radar(bandwidth=0.8, fine=2, average=True),
}


def flat(coherence: float | torch.Tensor, noise: float = 0.0) -> Surface:
    one = torch.tensor(1.0)
    return Surface(torch.as_tensor(coherence), one, one, torch.tensor(0j), noise)


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


@pytest.mark.parametrize("name", RADARS)
@pytest.mark.parametrize("coherence", [0.9, 0.5])
def test_intensities_correlate_by_the_square_of_coherence(name: str, coherence: float) -> None:
    generator = torch.Generator().manual_seed(1)
    pair = acquire(RADARS[name], flat(coherence), Constant(), 512, generator)
    found = correlation(pair.reference**2, pair.secondary**2)
    assert found == pytest.approx(coherence**2, abs=0.02)
    torch.testing.assert_close(
        pair.coherence, torch.full_like(pair.coherence, coherence), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize(
    ("name", "looks"), [("oversampled", 1.0), ("five looks", 4.87), ("aliased", 1.0)]
)
def test_looks(name: str, looks: float) -> None:
    """Sentinel-1's five overlapping looks are worth 4.86 to 4.88 in the moments."""
    generator = torch.Generator().manual_seed(2)
    pair = acquire(RADARS[name], flat(0.7), Constant(0.3, -0.2), 768, generator)
    for image in (pair.reference, pair.secondary):
        intensity = image**2
        assert float(intensity.mean() ** 2 / intensity.var()) == pytest.approx(looks, rel=0.02)
        assert float(intensity.mean()) == pytest.approx(1, abs=0.02)


def test_neighbours_correlate_as_the_response_says() -> None:
    generator = torch.Generator().manual_seed(3)
    pair = acquire(Radar(bandwidth=0.4), flat(0.7), Constant(), 768, generator)
    intensity = pair.reference**2
    expected = (math.sin(0.4 * math.pi) / (0.4 * math.pi)) ** 2
    assert correlation(intensity[1:], intensity[:-1]) == pytest.approx(expected, abs=0.01)
    assert correlation(intensity[:, 1:], intensity[:, :-1]) == pytest.approx(expected, abs=0.01)


def test_a_shift_is_where_it_should_be() -> None:
    """The cross-spectrum of complex images would be exact; of amplitudes it is nearly so."""
    generator = torch.Generator().manual_seed(4)
    pair = acquire(Radar(bandwidth=0.4), flat(1.0), Constant(2.25, -1.5), 256, generator)
    taper = torch.hann_window(256)[:, None] * torch.hann_window(256)
    a, b = (torch.fft.fft2((i**2 - 1) * taper) for i in (pair.reference, pair.secondary))
    f = torch.fft.fftfreq(256)
    phase, weight = (a.conj() * b).angle(), (a * b.conj()).abs()
    near = (torch.hypot(f[:, None], f) < 0.1).float() * weight
    for axis, shift in ((f[:, None], 2.25), (f[None, :], -1.5)):
        frequency = axis.expand(256, 256)
        other = f[None, :] * -1.5 if axis.shape[1] == 1 else f[:, None] * 2.25
        rest = torch.remainder(phase + 2 * math.pi * other + math.pi, 2 * math.pi) - math.pi
        slope = (near * rest * frequency).sum() / (near * frequency**2).sum()
        assert float(-slope / (2 * math.pi)) == pytest.approx(shift, abs=0.03)


def test_true_coherence_is_the_long_average() -> None:
    """An edge in coherence and in backscatter, noise, and a bright point."""
    n, radar = 96 + 2 * MARGIN, Radar(bandwidth=0.4, window=0.75)
    gamma = torch.full((n, n), 0.9)
    gamma[:, n // 2 :] = 0.3
    second = torch.ones(n, n)
    second[: n // 2] = 4.0
    points = torch.zeros(n, n, dtype=torch.complex64)
    points[n // 2 - 20, n // 2 + 20] = 20.0
    surface = Surface(gamma, torch.ones(n, n), second, points, noise=0.2)
    generator = torch.Generator().manual_seed(5)
    pairs = [acquire(radar, surface, Constant(), 96, generator) for _ in range(400)]
    a, b = (torch.stack([p[i] for p in pairs]).double() ** 2 for i in (0, 1))
    expected = pairs[0].coherence
    # Away from the point, whose amplitude does not vary, intensities correlate by the square.
    found = ((a - a.mean(0)) * (b - b.mean(0))).mean(0) / (
        a.std(0, correction=0) * b.std(0, correction=0)
    )
    rows = slice(50, 90)
    profile = found[rows].mean(0)
    torch.testing.assert_close(profile, expected[rows].double().pow(2).mean(0), rtol=0, atol=0.035)
    torch.testing.assert_close(
        true_coherence(radar, surface, n)[MARGIN:-MARGIN, MARGIN:-MARGIN],
        expected,
    )
    assert float(expected[28, 68]) > 0.9


def test_seeds_decide() -> None:
    pairs = [
        acquire(
            RADARS["five looks"],
            flat(0.6, noise=0.1),
            Constant(0.4, 0.1),
            64,
            torch.Generator().manual_seed(seed),
        )
        for seed in (1, 1, 2)
    ]
    for first, second in zip(*pairs[:2], strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(pairs[0].secondary, pairs[2].secondary)


@pytest.mark.parametrize(("coherence", "measurable"), [(0.1, False), (0.3, True)])
def test_ground_without_coherence_cannot_be_measured(coherence: float, measurable: bool):
    sample = speckle_sample(Constant(0.0, 0.0), size=32, coherence=coherence, seed=0)
    assert sample.valid.all()
    assert bool(sample.measurable.all()) == measurable
    assert bool(sample.measurable.any()) == measurable
