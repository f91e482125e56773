"""Rendered optical motion against band-limited ground that is known everywhere."""

import math

import pytest
import torch

from groundshift.synth import Constant, Waves
from groundshift.synth.optics import MARGIN, Optics, acquire

SIZE = 96
CLEAN = Optics(noise=(0.0, 0.0))


def ground(f: float = 0.11) -> torch.Tensor:
    """Two crossing waves, cycles per sample."""
    at = torch.arange(2 * SIZE + 2 * MARGIN, dtype=torch.float64)
    y, x = torch.meshgrid(at, at, indexing="ij")
    return torch.sin(2 * math.pi * f * (x + 0.3 * y)) + torch.sin(2 * math.pi * f * (y - 0.2 * x))


def moved(plane: torch.Tensor, motion, optics: Optics = CLEAN, seed: int = 0):
    return acquire(optics, (plane, plane), motion, SIZE, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shift", [(1.0, 0.0), (0.0, -2.0), (3.0, 1.0)])
def test_whole_pixels_move_whole_pixels(shift: tuple[float, float]) -> None:
    pair = moved(ground(), Constant(*shift))
    dy, dx = (int(v) for v in shift)
    first = pair.reference[10 - dy : 80 - dy, 10 - dx : 80 - dx]
    torch.testing.assert_close(pair.secondary[10:80, 10:80], first, rtol=0, atol=2e-4)


@pytest.mark.parametrize("f", [0.03, 0.11, 0.2])
def test_a_wave_is_displaced_exactly(f: float) -> None:
    """Below half a cycle per pixel of the result, to 1e-3 of a pixel: phases say by how much."""
    at = torch.arange(2 * SIZE + 2 * MARGIN, dtype=torch.float64)
    plane = torch.sin(2 * math.pi * f * at).expand(len(at), -1).clone()
    pair = moved(plane, Constant(0.0, 0.37))
    taper = torch.hann_window(SIZE, dtype=torch.float64)
    x = torch.arange(SIZE, dtype=torch.float64)
    probe = taper * torch.exp(-2j * math.pi * 2 * f * x)
    phases = [(image.double()[SIZE // 2] * probe).sum().angle() for image in pair[:2]]
    change = float(phases[0] - phases[1]) / (2 * math.pi * 2 * f)
    period = 1 / (2 * f)
    assert (change - 0.37 + period / 2) % period - period / 2 == pytest.approx(0, abs=1e-3)


def test_curved_motion_is_inverted() -> None:
    """The secondary at q is the reference at the p that solves p + motion(p) = q."""
    motion = Waves((0.5, 0.6), (60.0, 80.0))
    pair = moved(ground(0.05), motion)
    y, x = torch.meshgrid(*(torch.arange(SIZE, dtype=torch.float64),) * 2, indexing="ij")
    dy, dx = motion(y, x)
    from groundshift.interpolate import sample

    seen = sample(pair.secondary.double(), y + dy, x + dx, taps=16)[15:-15, 15:-15]
    torch.testing.assert_close(
        seen, pair.reference[15:-15, 15:-15].double(), rtol=0, atol=0.02 * float(seen.std())
    )


def test_neither_date_is_sharper() -> None:
    generator = torch.Generator().manual_seed(3)
    rough = torch.randn(2 * SIZE + 2 * MARGIN, 2 * SIZE + 2 * MARGIN, generator=generator)
    for shift in (0.0, 0.25, 0.5):
        pair = moved(rough, Constant(shift, shift))
        power = [torch.fft.fft2(image - image.mean()).abs() ** 2 for image in pair[:2]]
        f = torch.fft.fftfreq(SIZE).abs()
        high = (f[:, None] > 0.25) | (f > 0.25)
        shares = [float(p[high].sum() / p.sum()) for p in power]
        assert shares[0] == pytest.approx(shares[1], rel=0.06)


def test_noise_stripes_and_levels() -> None:
    optics = Optics(noise=(0.0, 0.1), stripes=(0.0, 0.2), levels=64)
    clean = moved(ground(), Constant(), CLEAN)
    dirty = moved(ground(), Constant(), optics)
    contrast = float(clean.reference.std())
    rest = (dirty.secondary - clean.secondary) / contrast
    assert float(rest.mean(0).std()) == pytest.approx(0.2, rel=0.25)
    assert float((rest - rest.mean(0)).std()) == pytest.approx(0.1, rel=0.1)
    levels = torch.unique((dirty.reference / (6 * contrast / 64)).round())
    torch.testing.assert_close(
        dirty.reference / (6 * contrast / 64),
        (dirty.reference / (6 * contrast / 64)).round(),
        atol=1e-3,
        rtol=0,
    )
    assert len(levels) <= 64


def test_what_came_from_outside_is_not_valid() -> None:
    pair = moved(ground(), Constant(0.0, 24.0))
    assert not pair.valid[:, :8].any()
    assert pair.valid[:, 12:].all()
