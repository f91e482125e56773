"""Time, memory and error against density: each method in a process of its own, in turn."""

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.errors import compare, mae
from benchmarks.methods import (
    Measured,
    Method,
    aldic,
    cells,
    dis,
    ilk,
    matched,
    openpiv,
    windowed_phase,
)
from benchmarks.pairs import moved_texture
from benchmarks.report import Table, Value
from benchmarks.strainnet import strainnet
from groundshift import process
from groundshift.matchers import NCC, CoarseToFine, Gaussian, LeastSquares, default
from groundshift.nets.refine import learned
from groundshift.nets.weights import STANDARD
from groundshift.synth import Waves
from groundshift.tile import map_pair
from groundshift.types import Estimate, Matcher

SIZE = 2048
SIZES = (1024, SIZE, 4096)
SEED = 301
ROUNDS = 3
ENOUGH = 60.0
MOTION = Waves(amplitude=(8.0, 8.0), wavelength=(900.0, 1100.0))
OPENPIV = "OpenPIV 64/32/32"
STRAINNET = "StrainNet-f, random weights"
LEARNED = "groundshift learned, search 32 px, stride 1, tiled"

TITLE = "Speed and memory"
TEXT = f"""One pair of {SIZE} x {SIZE} px, texture with 10 % noise, motion within 8 px in each
component. Each method runs in a process of its own that has imported everything and has matched a
corner before; the best of {ROUNDS} runs counts (fewer once {ENOUGH:.0f} s are spent): the first
one also pays for memory that the system has to find. Scaling to 8 bit or 0..1 is included, files
are not. Nodes per second of wall time are nodes with a result. Memory is the peak of the process,
imports and images included. All run with what the command line sets: `GOMP_SPINCOUNT=10000` and an
allocator that keeps freed memory. Processor seconds are the more robust number on a shared machine.
"tiled" is what `groundshift.track` does; the default matcher searches 64 px unless told otherwise.
The second table has the learned matcher on pairs of other sizes."""


def tiled(matcher: Matcher) -> Method:
    """Run a matcher in tiles."""

    def method(reference: Tensor, secondary: Tensor) -> Measured:
        import dask

        planes = map_pair(matcher, reference.numpy(), secondary.numpy())
        found = Estimate(*(torch.from_numpy(plane) for plane in dask.compute(*planes)))
        return cells(found, matcher.stride)

    return method


def _coarse() -> NCC:
    return NCC(window=96, search=11, stride=32, peak=Gaussian())


METHODS: dict[str, Callable[[], Method]] = {
    "groundshift grid 32 px, stride 8: NCC": lambda: matched(
        CoarseToFine((_coarse(), NCC(window=32, search=1, stride=8, peak=Gaussian())))
    ),
    "groundshift grid 32 px, stride 8: least squares": lambda: matched(
        CoarseToFine((_coarse(), LeastSquares(window=32, stride=8)))
    ),
    "groundshift default, stride 8, tiled": lambda: tiled(default(stride=8)),
    "groundshift default, stride 4, tiled": lambda: tiled(default(stride=4)),
    "groundshift default, stride 2, tiled": lambda: tiled(default(stride=2)),
    "groundshift default, stride 1, tiled": lambda: tiled(default(stride=1)),
    "groundshift default, search 32 px, stride 1, tiled": lambda: tiled(default(32, stride=1)),
    LEARNED: lambda: tiled(learned(STANDARD, 32)),
    STRAINNET: strainnet,
    OPENPIV: openpiv,
    "scikit-image phase 64, stride 32": windowed_phase,
    "OpenCV DIS medium": dis,
    "OpenCV DIS fine": lambda: dis(finest=0),
    "scikit-image ILK": ilk,
    "pyALDIC 32, stride 16": lambda: aldic(search=12),
}


def measure(name: str, file: str) -> dict[str, float]:
    """Run one method in this process."""
    process.keep_memory()
    reference, secondary = torch.load(file)
    method = METHODS[name]()
    found = method(reference[:320, :320].clone(), secondary[:320, :320].clone())
    before, begun = _peak(), time.perf_counter()
    walls, cpus = [], []
    while len(walls) < ROUNDS and time.perf_counter() - begun < ENOUGH:
        wall, cpu = time.perf_counter(), time.process_time()
        found = method(reference, secondary)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    errors = compare(found, MOTION, (reference.shape[0], reference.shape[1]))
    return {
        "wall": min(walls),
        "cpu": min(cpus),
        "nodes": float(np.isfinite(found.dy).sum()),
        "stride": float(found.y[1] - found.y[0]),
        "mae": math.nan if name == STRAINNET else mae(errors.error),
        "memory": _peak(),
        "before": before,
    }


def _peak() -> float:
    """Peak resident memory of this process so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def _in_subprocess(name: str, file: str) -> dict[str, float]:
    environment = {**os.environ, **process.ENVIRONMENT}
    command = (sys.executable, "-m", "benchmarks.speed", name, file)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _pair(folder: str, size: int) -> str:
    """Write a pair of this size and return its file."""
    file = str(Path(folder) / f"{size}.pt")
    torch.save(moved_texture(size, SEED, MOTION, noise=0.1)[:2], file)
    return file


def tables() -> list[Table]:
    """Run everything."""
    best: dict[str, dict[str, float]] = {}
    area: list[list[Value]] = []
    with tempfile.TemporaryDirectory() as folder:
        file = _pair(folder, SIZE)
        for name in METHODS:
            best[name] = _in_subprocess(name, file)
            print(name, best[name], file=sys.stderr)
        for size in SIZES:
            found = _in_subprocess(LEARNED, _pair(folder, size))
            print(size, found, file=sys.stderr)
            each = found["cpu"] / (size * size / 1e6)
            area.append([size, found["wall"], found["cpu"], each, found["memory"]])
    piv = best[OPENPIV]["nodes"] / best[OPENPIV]["wall"]
    rows: list[list[Value]] = []
    for name, value in best.items():
        rate = value["nodes"] / value["wall"]
        each = (value["wall"], value["cpu"], rate, rate / piv, value["mae"], value["memory"])
        rows.append([name, round(value["stride"]), *each])
    columns = ("method", "stride px", "wall s", "CPU s", "nodes/s", "x OpenPIV", "MAE px", "GB")
    sizes = ("side px", "wall s", "CPU s", "CPU s per Mpx", "GB")
    return [Table("Side by side", columns, rows), Table("Linear in area", sizes, area)]


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
