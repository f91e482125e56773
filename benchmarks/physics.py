"""Synthetic earthquakes against other implementations and against theory, and what they cost."""

import time
from collections.abc import Callable

import numpy as np
import torch
from cutde import halfspace

from benchmarks import elastic, ruptures
from benchmarks.elastic import Rectangle
from benchmarks.report import Table
from groundshift.synth.dislocations import displacement, green
from groundshift.synth.earthquake import Earthquake, earthquake, earthquakes
from groundshift.synth.faults import draw_rupture

TITLE = "Physics of synthetic earthquakes"
TEXT = """Displacements are compared relative to the largest of the case. Errors of motions are
relative to the largest slip of the rupture, against the sum over all triangles at the very points.
Times are those of one thread. cutde (Thompson, MIT) and dislocs (Guo, GPL-3) are used to compare
with only; both follow Nikkhoo & Walter (2015) for triangles."""
SEEDS = range(6)
TIMED = range(3)


def tables() -> list[Table]:
    """Run everything."""
    torch.set_num_threads(1)
    return [
        elastic.random_triangles(),
        elastic.random_rectangles(),
        elastic.hard_cases(),
        ruptures.scaling(),
        ruptures.spectra(),
        _motions(),
        _costs(),
    ]


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
    mesh = Rectangle(20.0, 8.0, 1.2, 0.0, (1.0, 1.0, 1.0)).mesh(24)
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
        for seed in TIMED:
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
            float(np.mean([_time(draw_rupture, np.random.default_rng(s)) for s in TIMED])),
        )
    )
    return Table("Costs", ("what", "value"), rows)


def _time(function: Callable[..., object], *arguments: object) -> float:
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start
