"""Splines against waves, whose values between samples are known."""

import math
from itertools import pairwise

import pytest
import torch

from groundshift.synth import spline
from groundshift.synth.gridded import Gridded, random_motion


def wave(f: float, at: torch.Tensor) -> torch.Tensor:
    return torch.cos(2 * math.pi * f * at + 0.3)


def basis(distance: float) -> float:
    """The textbook's quintic B-spline: a sum of truncated powers."""
    powers = ((-1) ** k * math.comb(6, k) * max(0.0, distance + 3 - k) ** 5 for k in range(7))
    return sum(powers) / 120


def test_weights_are_the_quintic_spline() -> None:
    fractions = torch.linspace(0, 1, 9, dtype=torch.float64)
    expected = [[basis(k - 2 - float(f)) for k in range(6)] for f in fractions]
    torch.testing.assert_close(
        spline.weights(fractions), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-14
    )


@pytest.mark.parametrize(("f", "tolerance"), [(0.05, 2e-7), (0.1, 1e-5), (0.2, 1e-3)])
@pytest.mark.parametrize("kind", [torch.float64, torch.complex128])
def test_waves_are_followed_between_samples(f: float, tolerance: float, kind) -> None:
    at = torch.arange(128, dtype=torch.float64)
    image = wave(f, at)[:, None] * wave(0.7 * f, at)
    image = image.to(kind) * (1 if kind == torch.float64 else 1 - 2j)
    generator = torch.Generator().manual_seed(0)
    y, x = (40 + 48 * torch.rand(7, 11, generator=generator, dtype=torch.float64) for _ in "yx")
    found = spline.evaluate(spline.coefficients(image).unsqueeze(0), y, x)[0]
    expected = wave(f, y) * wave(0.7 * f, x)
    error = found - expected if kind == torch.float64 else found / (1 - 2j) - expected
    assert float(error.abs().max()) < tolerance


def test_a_gridded_motion_passes_through_its_nodes() -> None:
    generator = torch.Generator().manual_seed(1)
    dy, dx = torch.randn(2, 40, 30, generator=generator, dtype=torch.float64)
    motion = Gridded.through(dy, dx, step=5.0, origin=(-10.0, 3.0))
    y = -10 + 5 * torch.arange(40, dtype=torch.float64)[:, None].expand(40, 30)
    x = 3 + 5 * torch.arange(30, dtype=torch.float64).expand(40, 30)
    found = motion(y, x)
    torch.testing.assert_close(torch.stack(found), torch.stack([dy, dx]), rtol=0, atol=1e-5)


def test_random_motion_has_its_amplitude_and_its_spectrum() -> None:
    fields = []
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        motion = random_motion(
            generator, size=512, amplitude=2.0, longest=640.0, shortest=20.0, slope=3.0
        )
        at = torch.arange(512, dtype=torch.float64)
        fields += motion(*torch.meshgrid(at, at, indexing="ij"))
    planes = torch.stack(fields)
    assert float((planes**2).mean().sqrt()) == pytest.approx(2.0, rel=0.15)
    taper = torch.hann_window(512, periodic=True, dtype=torch.float64)
    power = torch.fft.fft2(planes * taper * taper[:, None]).abs().pow(2).mean(0)
    k = torch.fft.fftfreq(512, dtype=torch.float64)
    k = torch.hypot(k[:, None], k)
    levels = [power[(k > low) & (k < 1.25 * low)].mean().log() for low in (0.008, 0.016, 0.032)]
    slopes = [(b - a) / math.log(2) for a, b in pairwise(levels)]
    for slope in slopes:
        assert float(slope) == pytest.approx(-3.0, abs=0.35)
    assert float(power[k > 0.06].max()) < 1e-6 * float(power.max())
