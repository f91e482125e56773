"""Triangles against two independent implementations and against point sources."""

import math

import numpy as np
import pytest
import torch
from benchmarks.okada import okada85
from cutde import halfspace

from groundshift.synth.dislocations import Mesh, areas, displacement, frames, green


def rectangle(length: float, width: float, dip: float, top: float, cells: int = 1) -> Mesh:
    """Striking along x (east) and dipping towards -y, as Okada's: its lower corner at x = y = 0."""
    s, d = np.meshgrid(*(np.linspace(0, n, cells + 1) for n in (length, width)), indexing="ij")
    lower = top + width * math.sin(dip)
    vertices = np.stack([s, (width - d) * math.cos(dip), d * 0], -1)
    vertices[..., 2] = (width - d) * math.sin(dip) - lower
    if top == 0:
        vertices[:, 0, 2] = 0
    index = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, e = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    halves = [np.stack(corners, -1).reshape(-1, 3) for corners in ((a, e, c), (a, c, b))]
    return Mesh(torch.from_numpy(vertices.reshape(-1, 3)), torch.from_numpy(np.concatenate(halves)))


def scattered(rng: np.random.Generator, count: int, reach: float) -> torch.Tensor:
    return torch.from_numpy(rng.uniform(-reach, reach, (count, 2)))


def on_surface(points: torch.Tensor) -> np.ndarray:
    return np.c_[points.numpy(), np.zeros(len(points))]


@pytest.mark.parametrize("reach", [3.0, 40.0])
def test_any_triangle_agrees_with_nikkhoo_and_walter(reach: float) -> None:
    rng = np.random.default_rng(1)
    corners = 3 * rng.normal(size=(40, 1, 3)) + rng.normal(size=(40, 3, 3))
    corners[..., 2] = -np.abs(corners[..., 2])
    upward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0
    corners[~upward] = corners[~upward][:, ::-1]
    points = scattered(rng, 300, reach)
    expected = halfspace.disp_matrix(on_surface(points), corners, 0.25)
    mesh = Mesh(torch.from_numpy(corners.reshape(-1, 3)), torch.arange(120).reshape(-1, 3))
    found = green(points, mesh).numpy()
    largest = np.abs(expected).max(axis=(0, 1), keepdims=True)
    assert (np.abs(found - expected) / largest).max() < 1e-9


@pytest.mark.parametrize("dip", [0.0, 10.0, 45.0, 80.0, 90.0])
@pytest.mark.parametrize("top", [0.0, 2.0])
@pytest.mark.parametrize("nu", [0.25, 0.4])
def test_a_rectangle_agrees_with_okada(dip: float, top: float, nu: float) -> None:
    if dip == top == 0:
        return
    length, width, slip = 20.0, 8.0, (0.7, -0.4, 0.3)
    mesh = rectangle(length, width, math.radians(dip), top, cells=3)
    points = scattered(np.random.default_rng(2), 400, 40.0)
    x, y = points.T.numpy()
    depth = top + width * math.sin(math.radians(dip))
    expected = okada85(x, y, depth, length, width, math.radians(dip), slip, nu)
    # The strike of a horizontal triangle is north, that of Okada's rectangle is x.
    own = (slip[1], -slip[0], slip[2]) if dip == 0 else slip
    found = displacement(points, mesh, torch.tensor([own] * len(mesh.triangles)), nu).T.numpy()
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()


def test_cutde_loses_digits_near_the_vertical_where_we_do_not() -> None:
    """At a dip of 89.9 degrees the published solution cancels: Okada's decides."""
    mesh = rectangle(20.0, 8.0, math.radians(89.9), 2.0)
    points = scattered(np.random.default_rng(3), 400, 40.0)
    depth = 2 + 8 * math.sin(math.radians(89.9))
    expected = okada85(*points.T.numpy(), depth, 20.0, 8.0, math.radians(89.9), (1.0, 0.0, 0.0))
    found = displacement(points, mesh, torch.tensor([[1.0, 0, 0]] * 2)).T.numpy()
    assert np.abs(found - expected).max() < 1e-9


def test_far_away_a_triangle_is_a_point_source() -> None:
    """A vertical strike-slip point (Okada 1985, eq. 8) at a hundred times its size."""
    vertices = torch.tensor([[-0.1, 0, -10.1], [0.1, 0, -10.1], [0, 0, -9.8]], dtype=torch.float64)
    mesh = Mesh(vertices, torch.tensor([[0, 1, 2]]))
    points = scattered(np.random.default_rng(4), 200, 30.0)
    x, y = points.T
    d, m = 10.0, 0.5
    r = (x**2 + y**2 + d**2).sqrt()
    shape = (3 * r + d) / (r**3 * (r + d) ** 3)
    i1 = m * y * (1 / (r * (r + d) ** 2) - x**2 * shape)
    i2 = m * x * (1 / (r * (r + d) ** 2) - y**2 * shape)
    i4 = -m * x * y * (2 * r + d) / (r**3 * (r + d) ** 2)
    q = y  # sin(dip) = 1
    expected = [3 * x**2 * q / r**5 + i1, 3 * x * y * q / r**5 + i2, 3 * x * d * q / r**5 + i4]
    expected = -areas(mesh) / (2 * math.pi) * torch.stack(expected, -1)
    found = displacement(points, mesh, torch.tensor([[1.0, 0, 0]]))
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()


def test_uniform_slip_does_not_see_the_mesh() -> None:
    points = scattered(np.random.default_rng(5), 200, 40.0)
    slip = torch.tensor([[1.0, 0.5, -0.2]])
    coarse, fine = (rectangle(20.0, 8.0, 0.9, 0.0, cells) for cells in (1, 6))
    one = displacement(points, coarse, slip.expand(2, 3))
    many = displacement(points, fine, slip.expand(72, 3))
    assert (one - many).abs().max() < 1e-12


def test_the_surface_jumps_by_the_slip() -> None:
    mesh = rectangle(20.0, 8.0, 1.1, 0.0)
    trace = 8 * math.cos(1.1)
    points = torch.tensor([[9.0, trace - 1e-7], [9.0, trace + 1e-7]], dtype=torch.float64)
    slip = torch.tensor([[1.0, 0.5, -0.2]], dtype=torch.float64).expand(2, 3)
    hanging, foot = displacement(points, mesh, slip)
    assert (hanging - foot - frames(mesh)[0] @ slip[0]).abs().max() < 1e-6


def test_slips_of_one_mesh_add() -> None:
    mesh = rectangle(20.0, 8.0, 1.1, 0.0, 3)
    rng = np.random.default_rng(6)
    slips = torch.from_numpy(rng.normal(size=(4, 18, 3)))
    points = scattered(rng, 50, 30.0)
    together = displacement(points, mesh, slips)
    matrix = green(points, mesh)
    for slip, found in zip(slips, together, strict=True):
        assert (displacement(points, mesh, slip) - found).abs().max() < 1e-13
        assert (torch.einsum("nitj,tj->ni", matrix, slip) - found).abs().max() < 1e-13


def test_no_point_is_singular() -> None:
    """Above edges and vertices, on their lines, and on the trace itself."""
    mesh = rectangle(20.0, 8.0, 0.8, 0.0, 2)
    trace = 8 * math.cos(0.8)
    along = torch.linspace(-20, 40, 61, dtype=torch.float64)
    across = torch.tensor([0.0, trace / 2, trace], dtype=torch.float64)
    points = torch.cartesian_prod(along, across)
    found = displacement(points, mesh, torch.ones(8, 3))
    assert torch.isfinite(found).all()
    assert found.abs().max() < 3


def test_single_precision_is_good_to_four_digits() -> None:
    mesh = rectangle(20.0, 8.0, 1.1, 0.0, 4)
    points = scattered(np.random.default_rng(7), 300, 30.0)
    slip = torch.from_numpy(np.random.default_rng(8).normal(size=(32, 3)))
    exact, single = (displacement(p, mesh, slip) for p in (points, points.float()))
    assert single.dtype == torch.float32
    assert (single - exact).abs().max() < 1e-4
