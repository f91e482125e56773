"""Ruptures: published scaling, closed meshes, slip with the moment of the magnitude."""

import math

import numpy as np
import pytest
import torch

from groundshift.synth.dislocations import Mesh, areas, frames
from groundshift.synth.fault_mesh import FaultMesh, Focus, draw_slip, fault_mesh
from groundshift.synth.faults import (
    SHEAR_MODULUS,
    Rupture,
    Segment,
    Size,
    Style,
    draw_magnitude,
    draw_rupture,
    rupture_size,
    seismic_moment,
)


def plane(dip: float = 1.0, length: float = 20e3, top: float = 0.0, rake: float = 0.0) -> Segment:
    flat = np.zeros((64, 64))
    return Segment((0, 0), 0.4, dip, length, top, 12e3, rake, 0.0, 1.0, 0.0, flat, 400.0)


def rupture_of(*segments: Segment) -> Rupture:
    return Rupture(6.8, "strike-slip", Size(20e3, 12e3, 1.0), segments)


def meshed(rupture: Rupture, element: float = 100.0, radius: float = 5e3) -> FaultMesh:
    east, north, _ = rupture.segments[0].point(np.array(1e4), np.array(0.0))
    return fault_mesh(rupture, Focus(float(east), float(north), radius, element))


@pytest.mark.parametrize("magnitude", [6.0, 6.5, 6.9])
@pytest.mark.parametrize(("style", "offset"), [("strike-slip", 4.17), ("reverse", 4.24)])
def test_leonard(style: Style, offset: float, magnitude: float) -> None:
    """The area's relation implies the published one of the length, M = 1.667 log10 km + offset."""
    size = rupture_size(magnitude, style, 1e6)
    assert 1.667 * math.log10(size.length / 1e3) + offset == pytest.approx(magnitude, abs=0.01)
    moment = SHEAR_MODULUS * math.prod(size)
    assert moment == pytest.approx(seismic_moment(magnitude), rel=1e-9)


def test_leonards_own_relation_of_slip_and_area() -> None:
    for magnitude in (6.0, 7.0, 7.8):
        size = rupture_size(magnitude, "strike-slip", 15e3)
        assert size.width <= 15e3
        assert size.slip == pytest.approx(3.7e-5 * math.sqrt(size.length * size.width), rel=0.06)


def test_moment_of_magnitude_seven() -> None:
    assert seismic_moment(7.0) == pytest.approx(3.98e19, rel=1e-3)


def test_magnitudes_follow_gutenberg_and_richter() -> None:
    rng = np.random.default_rng(1)
    drawn = np.array([draw_magnitude(rng, 6.0, 8.0, 1.0) for _ in range(20000)])
    assert drawn.min() >= 6
    assert drawn.max() <= 8
    counts = [(drawn >= m).mean() for m in (6.5, 7.0)]
    for share, m in zip(counts, (6.5, 7.0), strict=True):
        expected = (10 ** (6 - m) - 1e-2) / (1 - 1e-2)
        assert share == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_drawn_ruptures_have_the_size_of_their_magnitude(seed: int) -> None:
    rupture = draw_rupture(np.random.default_rng(seed), 7.2)
    main = [s for s in rupture.segments if s.share == 1]
    assert sum(s.length for s in main) == pytest.approx(rupture.size.length)
    assert all(0 <= s.top < s.bottom <= 19e3 + 1 for s in main)
    again = draw_rupture(np.random.default_rng(seed), 7.2)
    assert np.array_equal(again.segments[0].roughness, rupture.segments[0].roughness)


def test_an_origin_a_strike_and_a_dip() -> None:
    """Strike north, dipping east: down the dip is east, a left-lateral east side goes north."""
    flat = np.zeros((4, 4))
    segment = Segment((5, 6), 0, math.pi / 4, 1e4, 0, 1e4, 0, 0.0, 1, 0, flat, 4e3)
    assert segment.point(np.array(100.0), np.array(50.0)) == pytest.approx([55, 106, -50])
    assert segment.direction == pytest.approx([0, 1, 0])
    reverse = Segment((5, 6), 0, math.pi / 4, 1e4, 0, 1e4, math.pi / 2, 0.1, 1, 0, flat, 4e3)
    half = math.sqrt(0.5)
    assert reverse.direction == pytest.approx([-half + 0.1 * half, 0, half + 0.1 * half])


def test_the_mesh_covers_the_plane() -> None:
    fault = meshed(rupture_of(plane()))
    assert float(areas(fault.mesh).sum()) == pytest.approx(20e3 * 12e3 / math.sin(1.0), rel=1e-9)
    normal = frames(fault.mesh)[:, :, 2]
    assert (normal - normal[0]).abs().max() < 1e-9
    assert normal[0, 2] == pytest.approx(math.cos(1.0))


@pytest.mark.parametrize("seed", range(3))
def test_meshes_have_no_gaps(seed: int) -> None:
    """Every edge belongs to two triangles, but for those of the rim, which is one loop."""
    rupture = draw_rupture(np.random.default_rng(seed), 6.8)
    fault = meshed(rupture)
    for number, segment in enumerate(rupture.segments):
        own = fault.mesh.triangles[fault.segment == number]
        pairs = torch.stack([own, own.roll(-1, 1)], -1).reshape(-1, 2)
        edges, counts = torch.unique(pairs.sort(-1).values, dim=0, return_counts=True)
        assert counts.max() == 2
        rim = edges[counts == 1]
        assert (torch.unique(rim, return_counts=True)[1] == 2).all()
        directed = torch.unique(pairs, dim=0)
        assert len(directed) == len(pairs), "two triangles with opposite normals"
        up = fault.mesh.vertices[fault.upper[number], 2]
        assert torch.equal(up, torch.full_like(up, -segment.top))
        below = fault.mesh.triangles[fault.upper_triangles[number]]
        upper = fault.upper[number]
        assert (below[:, 0] == upper[:-1]).all()
        assert (below[:, 2] == upper[1:]).all()


def test_triangles_are_fine_where_the_focus_is() -> None:
    rupture = draw_rupture(np.random.default_rng(5), 7.5, buried=0.0)
    fault = meshed(rupture, 40.0, 3e3)
    upper = fault.mesh.vertices[fault.upper[0]]
    steps = upper.diff(dim=0)[:, :2].norm(dim=-1)
    assert steps.min() > 25
    assert steps.min() < 41
    assert steps.max() > 300
    assert len(fault.mesh.triangles) < 4000


@pytest.mark.parametrize("seed", range(3))
def test_slip_has_the_moment_of_the_magnitude(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rupture = draw_rupture(rng, 7.0)
    fault = meshed(rupture)
    slip = draw_slip(rupture, fault, rng)
    moment = SHEAR_MODULUS * float((areas(fault.mesh) * slip.norm(dim=-1)).sum())
    assert moment == pytest.approx(seismic_moment(7.0), rel=1e-9)


def test_slip_tapers_below_but_reaches_the_surface() -> None:
    rupture = rupture_of(plane())
    fault = meshed(rupture)
    slip = torch.stack([draw_slip(rupture, fault, np.random.default_rng(n)) for n in range(20)])
    amount = slip.norm(dim=-1).mean(0)
    bottom, top = fault.depth > 11.4e3, fault.depth < 200
    middle = (fault.along > 8e3) & (fault.along < 12e3)
    ends = (fault.along < 400) | (fault.along > 19.6e3)
    assert amount[ends].max() < 0.05 * amount.max()
    assert amount[bottom].max() < 0.1 * amount.max()
    assert amount[top & middle].mean() > 0.5 * amount.max()
    assert slip[:, :, 2].abs().max() < 1e-12, "a plane only slips"


def test_slip_along_strike_has_the_spectrum_of_a_slice() -> None:
    """``k^-2`` in two dimensions is power ``k^-3`` along a line; here from 8 to
    1.5 km."""
    segment = plane(length=64e3)
    rupture = rupture_of(segment)
    focus = Focus(*(float(v) for v in segment.point(np.array(32e3), np.array(0.0))[:2]), 4e4, 50.0)
    fault = fault_mesh(rupture, focus)
    line = fault.upper_triangles[0]
    power = np.zeros(len(line) // 2 + 1)
    for seed in range(12):
        amount = draw_slip(rupture, fault, np.random.default_rng(seed), 0.3)[line].norm(dim=-1)
        window = np.hanning(len(line))
        power += np.abs(np.fft.rfft(amount.numpy() * window)) ** 2
    k = np.fft.rfftfreq(len(line), 64e3 / len(line))
    chosen = (k > 1 / 8e3) & (k < 1 / 1500)
    found = np.polyfit(np.log(k[chosen]), np.log(power[chosen]), 1)[0]
    assert found == pytest.approx(-3, abs=0.25)


def test_mesh_moves_to_a_precision() -> None:
    mesh = meshed(rupture_of(plane())).mesh
    assert isinstance(mesh, Mesh)
    assert mesh.to(torch.zeros(1)).vertices.dtype == torch.float32
