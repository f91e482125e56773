"""What a scanner adds: exact as a motion, and in the rendered images."""

import math

import numpy as np
import pytest
import torch

from groundshift.synth import Constant, Fault, Waves
from groundshift.synth.fields import random_field
from groundshift.synth.motions import distance_of, origin_of
from groundshift.synth.optics import MARGIN, Optics, acquire
from groundshift.synth.pushbroom import STEEPEST, Apparent, Parallax, Pushbroom


def grid(n: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    at = torch.arange(n, dtype=torch.float64)
    y, x = torch.meshgrid(at, at, indexing="ij")
    return y, x


JITTER = Pushbroom(0.2, jitter=(((0.3, 0.1), 50.0, (0.4, 1.0)),))


def test_jitter_is_the_same_all_along_a_row_of_detectors() -> None:
    y, x = grid()
    time = y * math.cos(0.2) + x * math.sin(0.2)
    along = 0.3 * torch.sin(time * 2 * math.pi / 50 + 0.4)
    across = 0.1 * torch.sin(time * 2 * math.pi / 50 + 1.0)
    dy, dx = JITTER(y, x)
    torch.testing.assert_close(dy, along * math.cos(0.2) - across * math.sin(0.2))
    torch.testing.assert_close(dx, along * math.sin(0.2) + across * math.cos(0.2))


def test_arrays_step_where_they_meet() -> None:
    arrays = Pushbroom(seams=(10.0, 30.0), offsets=((0.0, 0.1), (0.2, -0.3), (0.0, 0.0)))
    y, x = grid()
    dy, dx = arrays(y, x)
    assert dy[5, [9, 10, 29, 30]].tolist() == [0, 0.2, 0.2, 0]
    assert dx[5, [9, 10, 29, 30]].tolist() == [0.1, -0.3, -0.3, 0]
    assert arrays.distance(y, x)[0, [4, 19, 40]].tolist() == [6, 9, 10]
    assert bool(torch.isinf(Pushbroom().distance(y, x)).all())


def test_the_scanner_sees_where_the_ground_went() -> None:
    ground = Fault(1.5, (24.0, 24.0))
    seams = Pushbroom(seams=(30.0,), offsets=((0.0, 0.0), (0.1, 0.2)))
    motion = Apparent(ground, seams)
    y, x = grid()
    dy, dx = ground(y, x)
    own = seams(y + dy, x + dx)
    found = motion(y, x)
    torch.testing.assert_close(found[0], dy + own[0], rtol=0, atol=0)
    torch.testing.assert_close(found[1], dx + own[1], rtol=0, atol=0)
    nearest = torch.minimum(ground.distance(y, x).abs(), (x + dx - 30).abs())
    torch.testing.assert_close(distance_of(motion, y, x), nearest)


def test_parallax_is_height_along_the_epipolar_line() -> None:
    height = random_field((80, 80), 0.8, 20, torch.Generator().manual_seed(1), smoothness=3.0)
    parallax = Parallax.of(height, 0.5, -6.25, direction=0.7, spread=0.3)
    nodes = torch.arange(80, dtype=torch.float64) * 0.5 - 6.25
    dy, dx = parallax(*torch.meshgrid(nodes, nodes, indexing="ij"))
    shown = torch.hypot(dy, dx)
    assert float(shown.pow(2).mean().sqrt()) <= 0.3001
    torch.testing.assert_close(dy * math.cos(0.7), dx * math.sin(0.7))
    relative = (height - height.mean()).double()
    ratio = (dx * relative).sum() / (relative**2).sum()
    torch.testing.assert_close(dx, ratio * relative, rtol=0, atol=1e-6)


def test_steep_relief_is_seen_with_less_parallax() -> None:
    height = 100 * torch.randn(40, 40, generator=torch.Generator().manual_seed(2))
    parallax = Parallax.of(height, 1.0, 0.0, direction=0.0, spread=5.0)
    _, dx = parallax(*grid(40))
    assert float(dx.diff(dim=1).abs().max()) <= STEEPEST + 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_truth_is_exact(seed: int) -> None:
    """What arrives at q came from p with p + motion(p) = q, to 1e-6 px, for everything at once."""
    rng = np.random.default_rng(seed)
    height = random_field((200, 200), 0.8, 30, torch.Generator().manual_seed(seed), smoothness=3.0)
    parallax = Parallax.of(height, 0.5, -1.0, direction=float(rng.uniform(0, 6)), spread=0.5)
    ground = Waves((0.8, 0.6), (70.0, 90.0))

    def raised(y: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        parts = ground(y, x), parallax(y, x)
        return parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]

    motion = Apparent(raised, Pushbroom.draw(rng, 96, jitter=True, arrays=False))
    y, x = grid(96)
    py, px, found = origin_of(motion, y, x)
    assert bool(found.all())
    dy, dx = motion(py, px)
    assert float((py + dy - y).abs().max()) < 1e-6
    assert float((px + dx - x).abs().max()) < 1e-6


def test_the_image_shows_the_jitter() -> None:
    """Rows of a wave in x are displaced by the jitter at their time: phases tell."""
    size, f = 96, 0.06
    at = torch.arange(2 * size + 2 * MARGIN, dtype=torch.float64)
    plane = torch.cos(2 * math.pi * f * at).expand(len(at), -1).clone()
    motion = Apparent(Constant(), Pushbroom(jitter=(((0.0, 0.4), 40.0, (0.0, 0.0)),)))
    generator = torch.Generator().manual_seed(0)
    pair = acquire(Optics(noise=(0.0, 0.0)), (plane, plane), motion, size, generator)
    x = torch.arange(size, dtype=torch.float64)
    probe = torch.hann_window(size, dtype=torch.float64) * torch.exp(-4j * math.pi * f * x)
    phase = [(image.double() * probe).sum(1).angle() for image in pair[:2]]
    shift = torch.remainder(phase[0] - phase[1] + math.pi, 2 * math.pi) - math.pi
    expected = 0.4 * torch.sin(2 * math.pi * x / 40)
    # The point spread averages over rows of different jitter.
    torch.testing.assert_close(shift / (4 * math.pi * f), expected, rtol=0, atol=0.01)
