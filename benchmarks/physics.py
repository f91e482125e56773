"""Synthetic earthquakes against other implementations and against theory, and what they cost."""

import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from cutde import halfspace

from benchmarks.report import Table
from groundshift.synth.dislocations import Mesh, areas, displacement, green
from groundshift.synth.earthquake import Earthquake, earthquake, earthquakes
from groundshift.synth.faults import SHEAR_MODULUS, draw_rupture, rupture_size, seismic_moment
from groundshift.synth.power_law import power_law_field

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "synth"))
from okada import okada85

TITLE = "Physics of synthetic earthquakes"
TEXT = """Displacements are compared relative to the largest of the case. Errors of motions are
relative to the largest slip of the rupture, against the sum over all triangles at the very points.
Times are those of one thread."""
SEEDS = range(6)


def tables() -> list[Table]:
    torch.set_num_threads(1)
    return [_implementations(), _theory(), _motions(), _costs()]


def _rectangle(length: float, width: float, dip: float, top: float, cells: int) -> Mesh:
    s, d = np.meshgrid(*(np.linspace(0, n, cells + 1) for n in (length, width)), indexing="ij")
    lower = top + width * math.sin(dip)
    up = np.minimum((width - d) * math.sin(dip) - lower, -top)
    vertices = np.stack([s, (width - d) * math.cos(dip), up], -1).reshape(-1, 3)
    index = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, e = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    halves = [np.stack(corners, -1).reshape(-1, 3) for corners in ((a, e, c), (a, c, b))]
    return Mesh(torch.from_numpy(vertices), torch.from_numpy(np.concatenate(halves)))


def _implementations() -> Table:
    rows = []
    points = np.random.default_rng(1).uniform(-60, 60, (2000, 2))
    on_surface = np.c_[points, np.zeros(len(points))]
    at = torch.from_numpy(points)
    for dip in (10.0, 45.0, 80.0, 89.9, 90.0):
        for top in (0.0, 2.0):
            mesh = _rectangle(20.0, 8.0, math.radians(dip), top, 3)
            corners = mesh.vertices[mesh.triangles].numpy()
            ours = green(at, mesh).numpy()
            theirs = halfspace.disp_matrix(on_surface, corners, 0.25)
            worst_okada = 0.0
            for slip in np.eye(3):
                expected = okada85(
                    *points.T, top + 8 * math.sin(math.radians(dip)), 20, 8, math.radians(dip), slip
                )
                found = np.einsum("nitj,j->in", ours, slip)
                worst_okada = max(
                    worst_okada, np.abs(found - expected).max() / np.abs(expected).max()
                )
            single = green(at.float(), mesh).numpy()
            rows.append(
                (
                    dip,
                    top,
                    f"{np.abs(ours - theirs).max() / np.abs(theirs).max():.1e}",
                    f"{worst_okada:.1e}",
                    f"{np.abs(single - ours).max() / np.abs(ours).max():.1e}",
                )
            )
    return Table(
        "Largest difference from other implementations",
        ("dip, degrees", "top", "cutde", "Okada (1985)", "ours in single precision"),
        rows,
        "18 triangles of a rectangle of 20 x 8, 2,000 points within 60. At 89.9 degrees it is "
        "cutde that loses digits.",
    )


def _slope(k: np.ndarray, power: np.ndarray, low: float, high: float) -> float:
    chosen = (k > low) & (k < high)
    return float(np.polyfit(np.log(k[chosen]), np.log(power[chosen]), 1)[0])


def _spectrum(decay: float) -> tuple[float, float]:
    """Slopes of the amplitude in two dimensions and of the power of profiles."""
    n, spacing = 1024, 50.0
    field = power_law_field((n, n), spacing, decay, (8e3, 8e3), np.random.default_rng(1))
    kx = 2 * np.pi * np.fft.rfftfreq(n, spacing)
    k = np.hypot(2 * np.pi * np.fft.fftfreq(n, spacing)[:, None], kx)
    plane = _slope(k.ravel(), np.abs(np.fft.rfft2(field)).ravel() ** 2, 1e-3, 5e-2) / 2
    line = _slope(kx, (np.abs(np.fft.rfft(field, axis=1)) ** 2).mean(0), 1e-3, 1.5e-2)
    return plane, line


def _theory() -> Table:
    rows = []
    for magnitude in (6.0, 6.9):
        for style, offset in (("strike-slip", 4.17), ("reverse", 4.24)):
            size = rupture_size(magnitude, style, 1e6)
            rows.append(
                (
                    f"Leonard's M of the length, {style}",
                    magnitude,
                    1.667 * math.log10(size.length / 1e3) + offset,
                )
            )
    for name, decay in (("slip", 2.0), ("roughness, Hurst 0.8", 1.8)):
        plane, line = _spectrum(decay)
        rows.append((f"exponent of the amplitude, {name}", -decay, plane))
        rows.append((f"exponent of the power of profiles, {name}", 1 - 2 * decay, line))
    for seed in (0, 1):
        motion = earthquake(np.random.default_rng(seed), 256, 20.0)
        moment = SHEAR_MODULUS * float((areas(motion.fault.mesh) * motion.slip.norm(dim=-1)).sum())
        rows.append(
            (
                "moment / moment of the magnitude",
                1.0,
                moment / seismic_moment(motion.rupture.magnitude),
            )
        )
    return Table("Ruptures", ("quantity", "expected", "found"), rows)


def _errors(motion: Earthquake) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the trace and errors at scattered points, many of them near it."""
    rng = np.random.default_rng(9)
    size = motion.frame.rows
    y, x = rng.uniform(0, size - 1, (2, 1500))
    near = np.concatenate([np.empty((0, 2)), *(t.points() for t in motion.field.traces)])
    near = near[((near >= 0) & (near < size - 1)).all(1)]
    if len(near):
        near = near[rng.integers(len(near), size=1500)] + rng.normal(size=(1500, 2)) * 8
        y, x = np.concatenate([y, near[:, 0]]), np.concatenate([x, near[:, 1]])
    at = torch.from_numpy(y), torch.from_numpy(x)
    ground = torch.from_numpy(motion.frame.ground(y, x))
    exact = displacement(ground, motion.fault.mesh, motion.slip).numpy() / motion.frame.spacing
    dy, dx = (n.numpy() for n in motion(*at))
    slip = float(motion.slip.norm(dim=-1).max()) / motion.frame.spacing
    return motion.distance(*at).abs().numpy(), np.hypot(dx - exact[:, 0], dy + exact[:, 1]) / slip


def _motions() -> Table:
    pairs = [
        _errors(earthquake(np.random.default_rng(seed), 512, 10.0, width=0.0)) for seed in SEEDS
    ]
    distance, error = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    rows = []
    for low, high in ((0, 1), (1, 2), (2, 4), (4, 8), (8, 16), (16, 64), (64, np.inf)):
        own = error[(distance >= low) & (distance < high)]
        rows.append((f"{low} to {high}", len(own), *(f"{f(own):.1e}" for f in (np.median, np.max))))
    return Table(
        "Error of the motion by distance from the trace",
        ("pixels", "points", "median", "largest"),
        rows,
        f"{len(SEEDS)} sharp earthquakes in images of 512 pixels of 10 m.",
    )


def _costs() -> Table:
    rows: list[tuple[str, float]] = []
    points = torch.from_numpy(np.random.default_rng(1).uniform(-60, 60, (3000, 2)))
    mesh = _rectangle(20.0, 8.0, 1.2, 0.0, 24)
    count = len(points) * len(mesh.triangles) / 1e6
    slip = torch.ones(len(mesh.triangles), 3, dtype=torch.float64)
    displacement(points, mesh, slip)
    for name, at in (("double", points), ("single", points.float())):
        rows.append(
            (
                f"million triangles x points per second, {name}",
                count / _time(displacement, at, mesh, slip),
            )
        )
    rows.append(("the same, Green's functions", count / _time(green, points, mesh)))
    corners = mesh.vertices[mesh.triangles].numpy()
    on_surface = np.c_[points.numpy(), np.zeros(len(points))]
    seconds = _time(halfspace.disp_free, on_surface, corners, slip.numpy(), 0.25)
    rows.append(("the same, cutde", count / seconds))
    for size in (256, 512, 1024):
        one, many, pixels, distance = [], [], [], []
        rows_of = torch.arange(size, dtype=torch.float64)
        y, x = torch.meshgrid(rows_of, rows_of, indexing="ij")
        for seed in SEEDS:
            rng = np.random.default_rng(seed)
            one.append(_time(earthquake, rng, size, 10.0))
            motions = earthquakes(np.random.default_rng(seed), size, 10.0)
            many.append(_time(earthquakes, np.random.default_rng(seed), size, 10.0, 9))
            pixels.append(_time(motions[0], y, x))
            distance.append(_time(motions[0].distance, y, x))
        rows.append((f"{size} px: geometry, slip and field, seconds", float(np.mean(one))))
        rows.append((f"{size} px: each further slip", float(np.mean(many) - np.mean(one)) / 8))
        rows.append((f"{size} px: displacement of all pixels", float(np.mean(pixels))))
        rows.append((f"{size} px: distance of all pixels", float(np.mean(distance))))
    rows.append(
        (
            "rupture alone, seconds",
            float(np.mean([_time(draw_rupture, np.random.default_rng(s)) for s in SEEDS])),
        )
    )
    return Table("Costs", ("what", "value"), rows)


def _time(function, *arguments) -> float:
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start
