"""The half-space solution against cutde, dislocs and Okada's, on random and on hard geometries.

Okada's is evaluated in extended precision (18 digits) and so tells which of the others is right
where they differ. Differences are relative to the largest displacement of a geometry.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import dislocs
import numpy as np
import torch
from cutde import halfspace
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.okada import okada85
from benchmarks.report import Plot, Table
from groundshift.synth.dislocations import Mesh, displacement

Array = NDArray[np.float64]
NU = 0.25
SHEAR_MODULUS = 3e10
LENGTH, WIDTH = 20.0, 8.0
"""Of the rectangle in hard cases."""
TRIANGLES, RECTANGLES = 200, 100
POINTS = 200


class Rectangle(NamedTuple):
    """Striking east, dipping south; its lower western corner is below the origin."""

    length: float
    width: float
    dip: float
    """Radians."""
    top: float
    slip: tuple[float, float, float]
    """Left-lateral, reverse, opening."""

    def mesh(self, cells: int = 3) -> Mesh:
        """Triangles whose normals point up."""
        lengths = (self.length, self.width)
        s, d = np.meshgrid(*(np.linspace(0, n, cells + 1) for n in lengths), indexing="ij")
        lower = self.top + self.width * math.sin(self.dip)
        up = np.minimum((self.width - d) * math.sin(self.dip) - lower, -self.top)
        vertices = np.stack([s, (self.width - d) * math.cos(self.dip), up], -1).reshape(-1, 3)
        index = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
        a, b, c, e = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
        halves = [np.stack(corners, -1).reshape(-1, 3) for corners in ((a, e, c), (a, c, b))]
        return Mesh(torch.from_numpy(vertices), torch.from_numpy(np.concatenate(halves)))

    def okada(self, points: Array) -> Array:
        """Displacement ``(n, 3)`` in extended precision."""
        x, y = points.T.astype(np.longdouble)
        dip = np.longdouble(self.dip)
        depth = self.top + self.width * np.sin(dip)
        return okada85(x, y, depth, self.length, self.width, dip, self.slip, NU).T

    @property
    def trace(self) -> float:
        """Northing of the upper edge."""
        return self.width * math.cos(self.dip)


def ours(rectangle: Rectangle, points: Array) -> Array:
    """Displacement by this package, double precision."""
    mesh = rectangle.mesh()
    return displacement(torch.from_numpy(points), mesh, _slips(rectangle, mesh), NU).numpy()


def ours_single(rectangle: Rectangle, points: Array) -> Array:
    """Displacement by this package, single precision."""
    mesh = rectangle.mesh()
    at = torch.from_numpy(points).float()
    return displacement(at, mesh, _slips(rectangle, mesh), NU).double().numpy()


def by_cutde(rectangle: Rectangle, points: Array) -> Array:
    """Displacement by cutde's triangles (Nikkhoo & Walter 2015)."""
    mesh = rectangle.mesh()
    corners, slips = mesh.vertices[mesh.triangles].numpy(), _slips(rectangle, mesh).numpy()
    return halfspace.disp_free(_on_surface(points), corners, slips, NU)


def by_triangles(rectangle: Rectangle, points: Array) -> Array:
    """Displacement by dislocs' triangles (Nikkhoo & Walter 2015)."""
    mesh = rectangle.mesh()
    corners, slips = mesh.vertices[mesh.triangles].numpy(), _slips(rectangle, mesh).numpy()
    models = np.c_[corners.reshape(-1, 9), slips]
    return dislocs.tde(_on_surface(points), models, SHEAR_MODULUS, NU)[0]


def by_rectangle(rectangle: Rectangle, points: Array) -> Array:
    """Displacement by dislocs' rectangle (Okada 1992)."""
    r = rectangle
    upper = (r.length / 2, r.trace, -r.top)
    model = np.array([[*upper, r.length, r.width, 90.0, math.degrees(r.dip), *r.slip]])
    return dislocs.rde(_on_surface(points), model, SHEAR_MODULUS, NU)[0]


IMPLEMENTATIONS: dict[str, Callable[[Rectangle, Array], Array]] = {
    "groundshift": ours,
    "groundshift, single": ours_single,
    "cutde": by_cutde,
    "dislocs, triangles": by_triangles,
    "dislocs, rectangle": by_rectangle,
}


def _slips(rectangle: Rectangle, mesh: Mesh) -> torch.Tensor:
    slip = torch.tensor(rectangle.slip, dtype=torch.float64)
    return slip.expand(len(mesh.triangles), 3).contiguous()


def _on_surface(points: Array) -> Array:
    return np.c_[points, np.zeros(len(points))]


def difference(found: Array, expected: Array) -> float:
    """Largest difference relative to the largest displacement; NaN counts as infinite."""
    gap = np.abs(found - expected).max() / np.abs(expected).max()
    return float(gap) if np.isfinite(gap) else math.inf


def random_triangles() -> Table:
    """Any triangle at any points: near ones within three times its size, far ones up to 100."""
    rows = []
    for name, near, far in (("0 to 3", 0.0, 3.0), ("3 to 100", 3.0, 100.0)):
        rng = np.random.default_rng(1)
        gaps: dict[str, list[float]] = {"cutde": [], "dislocs, triangles": []}
        for _ in range(TRIANGLES):
            corners = rng.normal(size=(3, 3)) - np.array([0, 0, rng.exponential(2)])
            corners[:, 2] = -np.abs(corners[:, 2])
            up = np.cross(corners[1] - corners[0], corners[2] - corners[0])[2] > 0
            corners = np.ascontiguousarray(corners if up else corners[::-1])
            slip = rng.normal(size=(1, 3))
            angle = rng.uniform(0, 2 * math.pi, POINTS)
            distance = rng.uniform(near, far, POINTS)
            points = (
                corners[:, :2].mean(0) + distance[:, None] * np.c_[np.cos(angle), np.sin(angle)]
            )
            mesh = Mesh(torch.from_numpy(corners), torch.arange(3)[None])
            own = displacement(torch.from_numpy(points), mesh, torch.from_numpy(slip), NU).numpy()
            at = _on_surface(points)
            model = np.c_[corners.reshape(1, 9), slip]
            theirs = halfspace.disp_free(at, corners[None], slip, NU)
            gaps["cutde"].append(difference(own, theirs))
            theirs = dislocs.tde(at, model, SHEAR_MODULUS, NU)[0]
            gaps["dislocs, triangles"].append(difference(own, theirs))
        rows += [(name, other, *_quantiles(values)) for other, values in gaps.items()]
    text = (
        f"{TRIANGLES} triangles of size 1 at random depths, slips and dips; {POINTS} points each."
    )
    columns = ("distance / size", "compared with", "median", "99 %", "largest")
    return Table("Random triangles: difference from other libraries", columns, rows, text)


def random_rectangles() -> Table:
    """Rectangles of any dip and depth against Okada's solution."""
    rows = []
    for name, reach in (("within 1 length", 1.0), ("within 10 lengths", 10.0)):
        rng = np.random.default_rng(2)
        gaps: dict[str, list[float]] = {implementation: [] for implementation in IMPLEMENTATIONS}
        for _ in range(RECTANGLES):
            rectangle = Rectangle(
                length=float(rng.uniform(5, 50)),
                width=float(rng.uniform(2, 20)),
                dip=math.radians(rng.uniform(5, 90)),
                top=float(rng.choice([0, rng.uniform(0, 10)])),
                slip=tuple(rng.normal(size=3).tolist()),
            )
            points = rng.uniform(-reach, reach, (POINTS, 2)) * rectangle.length
            expected = rectangle.okada(points)
            for implementation, function in IMPLEMENTATIONS.items():
                gaps[implementation].append(difference(function(rectangle, points), expected))
        rows += [(name, other, *_quantiles(values)) for other, values in gaps.items()]
    text = f"""{RECTANGLES} rectangles, half of which break the surface, as 18 triangles each,
against Okada (1985) in extended precision; {POINTS} points each."""
    columns = ("points", "implementation", "median", "99 %", "largest")
    return Table("Random rectangles: difference from Okada", columns, rows, text)


def _quantiles(values: list[float]) -> list[str]:
    found = (np.median(values), np.quantile(values, 0.99), np.max(values))
    return [f"{value:.1e}" for value in found]


def hard_cases() -> Table:
    """Steep dips, surface-breaking faults and points close to edges."""
    rows = []
    rng = np.random.default_rng(3)
    everywhere = rng.uniform(-60, 60, (2000, 2))
    for dip in (10.0, 45.0, 80.0, 89.9, 90.0):
        for top in (0.0, 2.0):
            name = f"dip {dip:g}°, {'breaks the surface' if top == 0 else 'buried'}"
            rows.append((name, *_gaps(_rectangle(dip, top), everywhere)))
    for name, dip, top, points in _near_edges():
        rows.append((name, *_gaps(_rectangle(dip, top), points)))
    text = f"""A rectangle of {LENGTH:g} x {WIDTH:g} as 18 triangles, with all components of slip,
against Okada (1985) in extended precision. Where an edge reaches the surface, this package loses
digits as the inverse square of the distance, as cutde does: single precision is useless nearer than
1e-3 of a triangle. Motions never look there: they evaluate half a triangle or more from a trace
and add the jump exactly."""
    columns = ("case", *IMPLEMENTATIONS)
    title = "Hard cases: largest difference from Okada"
    return Table(title, columns, rows, text, _distances())


def _rectangle(dip: float, top: float) -> Rectangle:
    return Rectangle(LENGTH, WIDTH, math.radians(dip), top, (0.7, -0.4, 0.3))


def _gaps(rectangle: Rectangle, points: Array) -> list[str]:
    expected = rectangle.okada(points)
    gaps = (difference(find(rectangle, points), expected) for find in IMPLEMENTATIONS.values())
    return [f"{gap:.1e}" for gap in gaps]


def _beside(dip: float, top: float, distance: float) -> Array:
    """Points on both sides of the upper edge's projection."""
    x = np.linspace(0.7, LENGTH - 0.9, 50)
    trace = _rectangle(dip, top).trace
    return np.concatenate([np.c_[x, np.full(50, trace + sign * distance)] for sign in (-1, 1)])


def _around(centre: tuple[float, float], distance: float) -> Array:
    angle = np.arange(50) * (2 * math.pi / 50) + 0.01
    return np.array(centre) + distance * np.c_[np.cos(angle), np.sin(angle)]


def _near_edges() -> list[tuple[str, float, float, Array]]:
    cases = []
    for dip in (45.0, 90.0):
        trace = _rectangle(dip, 0).trace
        for distance in (1e-3, 1e-6, 1e-9):
            name = f"dip {dip:g}°, {distance:.0e} beside the trace"
            cases.append((name, dip, 0.0, _beside(dip, 0, distance)))
        for distance in (1e-3, 1e-6):
            name = f"dip {dip:g}°, {distance:.0e} around the end of the trace"
            cases.append((name, dip, 0.0, _around((LENGTH, trace), distance)))
        line = np.c_[np.linspace(LENGTH + 1, 60, 50), np.full(50, trace + 1e-9)]
        cases.append((f"dip {dip:g}°, on the trace's extension", dip, 0.0, line))
        name = f"dip {dip:g}°, edge 0.01 below the surface, points above it"
        cases.append((name, dip, 0.01, _beside(dip, 0.01, 1e-3)))
    below = np.c_[np.linspace(-5, 25, 50), np.zeros(50)]
    cases.append(("dip 45°, above the lower edge", 45.0, 0.0, below))
    return cases


def _distances() -> Plot:
    """Draw differences against the distance from a trace."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    distances = np.logspace(-9, 1, 21)
    for axes, dip in zip(panels, (45.0, 90.0), strict=True):
        rectangle = _rectangle(dip, 0)
        for name, find in IMPLEMENTATIONS.items():
            gaps = []
            for distance in distances:
                points = _beside(dip, 0, distance)
                gaps.append(difference(find(rectangle, points), rectangle.okada(points)))
            axes.loglog(distances, np.maximum(gaps, 1e-17), ".-", label=name, lw=1, ms=4)
        axes.set_title(f"Surface-breaking fault, dip {dip:g}°", fontsize=9)
        axes.set_xlabel(f"distance from the trace (fault: {LENGTH:g} x {WIDTH:g})")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("largest relative difference")
    panels[1].legend(fontsize=7)
    return Plot("near-trace", figure, "Difference from Okada against the distance from the trace")
