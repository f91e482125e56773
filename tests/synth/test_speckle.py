"""Speckle against the theory of circular Gaussian fields."""

import math

import pytest
import torch

from groundshift.interpolate import sample
from groundshift.synth import (
    Constant,
    Fault,
    Sum,
    Waves,
    demo_pair,
    speckle,
    speckle_sample,
    tracking_limit,
)
from groundshift.synth.motions import origin_of


def test_fully_developed() -> None:
    field = speckle((512, 512), 0.4, torch.Generator().manual_seed(1))
    intensity = field.abs() ** 2
    assert abs(float(intensity.mean()) - 1) < 0.03
    assert abs(float(intensity.std()) - 1) < 0.05
    assert abs(float(field.abs().std() / field.abs().mean()) - math.sqrt(4 / math.pi - 1)) < 0.02


@pytest.mark.parametrize("coherence", [0.9, 0.6])
def test_intensities_correlate_by_the_square_of_coherence(coherence: float) -> None:
    pair = speckle_sample(Constant(1.3, -0.7), size=512, coherence=coherence, seed=1)
    rows = torch.arange(16.0, 496.0)
    y, x = torch.meshgrid(rows, rows, indexing="ij")
    moved = sample(pair.secondary**2, y + 1.3, x - 0.7)
    still = (pair.reference**2)[16:496, 16:496]
    rho = torch.corrcoef(torch.stack([still.flatten(), moved.flatten()]))[0, 1]
    assert abs(float(rho) - coherence**2) < 0.02


@pytest.mark.parametrize("bandwidth", [0.4, 0.5, 0.8])
def test_whole_pixels_move_without_loss(bandwidth: float) -> None:
    """Also above 0.5, where the detected image is aliased and must not be what moves."""
    pair = speckle_sample(Constant(2, -3), size=96, coherence=1.0, seed=2, bandwidth=bandwidth)
    torch.testing.assert_close(
        pair.secondary[10:90, 10:80], pair.reference[8:88, 13:83], rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("bandwidth", [0.4, 0.8])
def test_valid_is_what_both_images_show(bandwidth: float) -> None:
    pair = speckle_sample(Constant(0, 20.3), size=96, coherence=0.9, seed=2, bandwidth=bandwidth)
    expected = (torch.arange(96) + 20.3 <= 95).expand(96, 96)
    assert torch.equal(pair.valid, expected)
    assert torch.allclose(pair.coherence, torch.tensor(0.9))


def test_places_are_solved_for_whatever_their_order_and_number() -> None:
    """An opening fault leaves places without an origin, among 50,000 that have one."""
    fault = Fault(slip=4.0, centre=(100.0, 125.0), strike=0.0, depth=80.0)

    def opening(y: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros_like(y), fault(y, x)[0]

    rows = torch.arange(250, dtype=torch.float64)
    y, x = torch.meshgrid(rows[:200], rows, indexing="ij")
    before = y.clone(), x.clone()
    py, px, known = origin_of(opening, y, x, tolerance=1e-8)
    assert torch.equal(y, before[0])
    assert torch.equal(x, before[1])
    miss = torch.hypot(py - y, px + opening(py, px)[1] - x)
    assert miss[known].max() < 1e-6
    assert miss[~known].min() > 1e-3
    assert (~known).any(1).all()
    order = torch.randperm(y.numel(), generator=torch.Generator().manual_seed(0))
    again = origin_of(opening, y.flatten()[order], x.flatten()[order], tolerance=1e-8)
    torch.testing.assert_close(again[1], px.flatten()[order], rtol=0, atol=1e-6)
    assert torch.equal(again[2], known.flatten()[order])


def test_what_is_seen_came_from_where_it_was() -> None:
    motion = Sum((Waves((2.0, 3.0), (150.0, 200.0)), Constant(0.5, -1.5)))
    rows = torch.arange(200, dtype=torch.float64)
    y, x = torch.meshgrid(rows, rows, indexing="ij")
    py, px, known = origin_of(motion, y, x)
    dy, dx = motion(py, px)
    assert known.all()
    assert torch.maximum((py + dy - y).abs(), (px + dx - x).abs()).max() < 1e-8


def test_a_fault_jumps_by_its_slip() -> None:
    fault = Fault(slip=2.0, centre=(50.0, 50.0), strike=0.0, depth=100.0)
    y = torch.tensor([50.0, 50.0], dtype=torch.float64)
    dy, dx = fault(y, torch.tensor([50.0 - 1e-6, 50.0 + 1e-6], dtype=torch.float64))
    assert float(dy[1] - dy[0]) == pytest.approx(2.0, abs=1e-6)
    assert dx.abs().max() == 0


def test_same_seed_same_pair() -> None:
    first, second = demo_pair(3, 128), demo_pair(3, 128)
    assert all(torch.equal(a, b) for a, b in zip(first[:5], second[:5], strict=True))
    assert not torch.equal(first.reference, demo_pair(4, 128).reference)


def test_limit_of_tracking() -> None:
    for coherence, expected in ((0.95, 0.0054), (0.8, 0.0130), (0.6, 0.0257), (0.4, 0.0551)):
        assert tracking_limit(coherence, 1024) == pytest.approx(expected, rel=0.02)
