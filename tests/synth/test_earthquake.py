"""Earthquakes as motions: what the elastic half-space says, with a sharp jump."""

import math

import numpy as np
import pytest
import torch

from groundshift.synth.dislocations import displacement, frames
from groundshift.synth.earthquake import Earthquake, earthquake, earthquakes, surface_traces
from groundshift.synth.fault_mesh import Focus, fault_mesh
from groundshift.synth.faults import Rupture, Segment, Size
from groundshift.synth.motions import origin_of
from groundshift.synth.surface_field import Frame, Sources, SurfaceField, surface_fields

SIZE = 192
Pixels = tuple[torch.Tensor, torch.Tensor]


def quake(seed: int, **options: float) -> Earthquake:
    options = {"width": 0.0, "magnitude": 7.2, **options}
    return earthquake(np.random.default_rng(seed), SIZE, 20.0, **options)


@pytest.fixture(scope="module")
def strike_slip() -> Earthquake:
    return next(q for q in map(quake, range(20)) if q.jumps and q.rupture.style == "strike-slip")


def scattered(count: int, seed: int = 1) -> Pixels:
    y, x = np.random.default_rng(seed).uniform(0, SIZE - 1, (2, count))
    return torch.from_numpy(y), torch.from_numpy(x)


def exact(motion: Earthquake, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Displacement ``(N, 2)``, dy and dx, by all triangles at the very points."""
    ground = torch.from_numpy(motion.frame.ground(y.numpy(), x.numpy()))
    moved = displacement(ground, motion.fault.mesh, motion.slip) / motion.frame.spacing
    return torch.stack([-moved[:, 1], moved[:, 0]], -1)


def largest_jump(motion: Earthquake) -> float:
    return max(float(t.jump.sum(-1).abs().max()) for t in motion.field.traces)


@pytest.mark.parametrize("seed", [0, 3, 5, 8])
def test_it_is_the_displacement_of_the_half_space(seed: int) -> None:
    """To 1e-3 of the slip but for single triangles' ends at the trace, and 1e-4 away from it."""
    motion = quake(seed)
    y, x = scattered(1500)
    miss = torch.stack(motion(y, x), -1) - exact(motion, y, x)
    error = miss.norm(dim=-1) / float(motion.slip.norm(dim=-1).max() / motion.frame.spacing)
    distance = motion.distance(y, x).abs()
    assert error[distance > 16].max() < 1e-3
    assert error[distance > 16].median() < 1e-4
    assert error.max() < 5e-3


def test_beside_the_trace(strike_slip: Earthquake) -> None:
    motion = strike_slip
    rng = np.random.default_rng(2)
    trace = np.concatenate([t.points() for t in motion.field.traces])
    trace = trace[((trace > 0) & (trace < SIZE - 1)).all(1)]
    near = trace[rng.integers(len(trace), size=600)] + rng.normal(size=(600, 2)) * 4
    y, x = torch.from_numpy(near.T.copy())
    miss = torch.stack(motion(y, x), -1) - exact(motion, y, x)
    error = miss.norm(dim=-1) / largest_jump(motion)
    assert error.median() < 1e-3
    assert error.quantile(0.99) < 1e-2
    assert error.max() < 3e-2, "at a single vertex, where the slip of triangles steps"


def test_it_jumps_by_the_slip_of_the_uppermost_triangles(strike_slip: Earthquake) -> None:
    motion = strike_slip
    burgers = torch.einsum("tij,tj->ti", frames(motion.fault.mesh), motion.slip)
    centres = []
    for upper in motion.fault.upper:
        vertices = motion.fault.mesh.vertices[upper].numpy()
        middle = (vertices[1:] + vertices[:-1]) / 2
        centres.append(motion.frame.pixels(middle[:, 0], middle[:, 1]))
    inside = [torch.from_numpy(np.abs(at - (1 + 1j) * SIZE / 2) < SIZE / 2) for at in centres]
    number = int(np.argmax([int(keep.sum()) for keep in inside]))
    at, keep = centres[number], inside[number]
    normal = motion.field.traces[number].direction * 1j
    sides = []
    for side in (-1e-2, 1e-2):
        p = torch.from_numpy(at + side * normal)[keep]
        sides.append(torch.complex(*motion(p.imag.clone(), p.real.clone())[::-1]))
    jump = burgers[motion.fault.upper_triangles[number]] / motion.frame.spacing
    expected = torch.complex(jump[:, 0], -jump[:, 1])[keep]
    assert (sides[1] - sides[0] - expected).abs().max() < 0.02 * expected.abs().max()
    assert (sides[1] - sides[0] - expected).abs().median() < 1e-3 * expected.abs().max()


def straight(width: float) -> tuple[SurfaceField, Rupture, Frame]:
    """One vertical segment along x, in the middle of the image; both tips are inside."""
    segment = Segment(
        (-1200, 0), math.pi / 2, math.pi / 2, 2400, 0, 1500, 0, 0, 1, 0, np.zeros((9, 9)), 400
    )
    rupture = Rupture(6.0, "strike-slip", Size(2400, 1500, 1.0), (segment,))
    frame = Frame(SIZE, SIZE, 20.0, 0.0, 0.0)
    fault = fault_mesh(rupture, Focus(0, 0, 4e3, 40.0))
    taper = torch.sin(math.pi * fault.along / 2400) ** 2
    slip = torch.stack([20 * taper, 0 * taper, 0 * taper], -1)
    traces = (surface_traces(rupture, fault, slip, frame, 2.0),)
    return (
        surface_fields(Sources(fault.mesh, slip[None], frame, traces), width=width)[0],
        rupture,
        frame,
    )


def test_left_lateral_along_x() -> None:
    """Strike east: the south is the hanging wall and moves east, by half the slip at the trace."""
    field, _, _ = straight(0.0)
    middle = (SIZE - 1) / 2
    y = torch.tensor([middle - 1e-3, middle + 1e-3], dtype=torch.float64)
    dy, dx = field(y, torch.full_like(y, middle))
    assert dx.tolist() == pytest.approx([-0.5, 0.5], abs=2e-3)
    assert dy.abs().max() < 2e-3


def test_continuous_beyond_the_tips() -> None:
    field, _, _ = straight(0.0)
    x = torch.cat([torch.linspace(0, 35, 50), torch.linspace(156, 191, 50)]).double()
    y = torch.full_like(x, (SIZE - 1) / 2)
    above, below = (torch.stack(field(y + e, x)) for e in (-1e-6, 1e-6))
    assert (above - below).abs().max() < 1e-6
    inside = torch.linspace(36.5, 154, 200, dtype=torch.float64)
    y = torch.full_like(inside, (SIZE - 1) / 2)
    jump = field(y + 1e-6, inside)[1] - field(y - 1e-6, inside)[1]
    expected = torch.sin(math.pi * (inside - 35.5) / 120) ** 2
    assert (jump - expected).abs().max() < 2e-2


def test_a_damage_zone_spreads_the_jump() -> None:
    """The same displacement outside the zone, a slope of at most pi/2 of the mean one within."""
    sharp, wide = (straight(width)[0] for width in (0.0, 6.0))
    middle = (SIZE - 1) / 2
    y = middle + torch.linspace(-20, 20, 401, dtype=torch.float64)
    x = torch.full_like(y, middle)
    one, other = sharp(y, x)[1], wide(y, x)[1]
    outside = (y - middle).abs() >= 3
    assert (one - other)[outside].abs().max() < 1e-12
    assert other.diff().abs().max() < 1.05 * math.pi / 2 / 6 * 0.1
    assert one.diff().abs().max() > 0.9


def test_distance_is_signed_and_exact() -> None:
    field, _, _ = straight(0.0)
    y, x = scattered(300)
    middle = (SIZE - 1) / 2
    beyond = ((x - middle).abs() - 60).clamp(min=0)
    expected = torch.hypot(y - middle, beyond) * torch.where(y >= middle, 1.0, -1.0)
    assert (field.distance(y, x) - expected).abs().max() < 0.6
    beside = beyond == 0
    assert (field.distance(y, x) - expected)[beside].abs().max() < 0.05


def test_the_renderer_can_invert_it(strike_slip: Earthquake) -> None:
    y, x = scattered(2000)
    py, px, known = origin_of(strike_slip, y, x)
    dy = strike_slip(py, px)[0]
    assert known.double().mean() > 0.99
    assert (py + dy - y).abs()[known].max() < 1e-6
    again = strike_slip(py, px)
    assert torch.equal(again[0], dy)


def test_single_precision_and_shapes(strike_slip: Earthquake) -> None:
    y, x = (n.reshape(10, 20) for n in scattered(200))
    double = strike_slip(y, x)
    single = strike_slip(y.float(), x.float())
    assert single[0].shape == (10, 20)
    assert single[0].dtype == torch.float32
    apart = max(float((a - b).abs().median()) for a, b in zip(double, single, strict=True))
    assert apart < 1e-6


def test_one_fault_many_earthquakes() -> None:
    motions = earthquakes(np.random.default_rng(3), SIZE, 20.0, 3, magnitude=7.0, width=0.0)
    y, x = scattered(50)
    for motion in motions:
        assert motion.fault is motions[0].fault
        error = torch.stack(motion(y, x), -1) - exact(motion, y, x)
        assert error.norm(dim=-1).median() < 1e-3 * float(motion.slip.norm(dim=-1).max() / 20)
    first, second = (torch.stack(m(y, x)) for m in motions[:2])
    assert (first - second).abs().max() > 1e-3


def test_same_seed_same_earthquake() -> None:
    y, x = scattered(50)
    first, second, other = (torch.stack(quake(seed)(y, x)) for seed in (7, 7, 8))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_buried_rupture_does_not_jump() -> None:
    seeds = (np.random.default_rng(n) for n in range(60))
    motion = next(
        q for q in (earthquake(rng, 64, 60.0, magnitude=6.5) for rng in seeds) if not q.field.traces
    )
    y, x = (n / 3 for n in scattered(100))
    assert not motion.jumps
    assert torch.isinf(motion.distance(y, x)).all()
    error = (torch.stack(motion(y, x), -1) - exact(motion, y, x)).norm(dim=-1)
    assert error.max() < 1e-3 * float(motion.slip.norm(dim=-1).max() / 60)
