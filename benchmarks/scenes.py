"""Coherence of a whole scene of Sentinel-1: time and memory of the command line."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import groundshift
from benchmarks.memory import BLOCK, repeated, resident
from benchmarks.report import Table, Value
from groundshift import tile
from groundshift.synth import sentinel1
from groundshift.synth.motions import Constant
from groundshift.synth.radar import Surface, acquire

ROWS = 4096
"""Of the scene, where nothing is written."""
SHAPE = tuple(map(int, os.environ.get("GROUNDSHIFT_BENCHMARK_SCENE", "17000x25000").split("x")))
METHODS = {
    "net": ("--memory", "4GiB"),
    "Pearson 9": ("--estimator", "pearson", "--window", "9", "--memory", "3GiB"),
}
KEYWORDS = {
    "net": {"memory": 4 << 30},
    "Pearson 9": {"estimator": "pearson", "window": 9, "memory": 3 << 30},
}
"""The same in Python."""

TITLE = "Coherence of a scene"
TEXT = f"""`groundshift coherence` on two float32 GeoTIFFs of {SHAPE[1]} x {SHAPE[0]} px, a
simulated GRD of {BLOCK} px over and over;
{", ".join(f"{name}: `{' '.join(options)}`" for name, options in METHODS.items())}.
Seconds of the clock, all from reading to the written COG, on both cores, and the summary that is
printed; peak resident memory of the process tree, sampled every 0.5 s, with what the imports take
(0.4 GiB). "Estimate alone" is `groundshift.coherence(...)` of as much of the scene as has
{ROWS} rows, read and estimated, of which means are computed and nothing is written."""


def write_pair(folder: Path) -> list[str]:
    """Write both images block by block."""
    radar = sentinel1.grd()
    one = torch.tensor(1.0)
    n = BLOCK * radar.fine + 64
    gamma = torch.linspace(0, 1, n).expand(n, n)
    surface = Surface(gamma, one, one, one * 0j)
    pair = acquire(radar, surface, Constant(), BLOCK, torch.Generator().manual_seed(1))
    names = ("S1_20200207.tif", "S1_20200219.tif")
    images = (pair.reference, pair.secondary)
    return [
        repeated(folder / name, image.numpy(), SHAPE)
        for name, image in zip(names, images, strict=True)
    ]


def measured(images: list[str], out: Path, options: tuple[str, ...]) -> list[Value]:
    """Run the command; seconds, Mpx per second, CPU seconds and GiB."""
    program = str(Path(sys.executable).with_name("groundshift"))
    before, began, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), 0.0
    command = (program, "coherence", *images, str(out), *options, "--radiometry", "amplitude")
    process = subprocess.Popen((*command, "--no-quicklook"))
    while process.poll() is None:
        peak = max(peak, resident(process.pid))
        time.sleep(0.5)
    if process.returncode:
        raise RuntimeError(f"groundshift coherence ended with {process.returncode}")
    spent, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [spent, SHAPE[0] * SHAPE[1] / 1e6 / spent, used, peak]


def alone(images: list[str], keywords: dict[str, Any]) -> float:
    """Estimate, and write nothing; Mpx per second."""
    one, other = (groundshift.open_image(image)[:ROWS] for image in images)
    with tile.computing(progress=False):
        found = groundshift.coherence(one, other, radiometry="amplitude", **keywords)
        began = time.monotonic()
        found.mean().compute()
    return one.size / 1e6 / (time.monotonic() - began)


def tables() -> list[Table]:
    """Run each method."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = write_pair(folder)
        rows: list[list[Value]] = [
            [
                method,
                *measured(images, folder / "coherence.tif", options),
                alone(images, KEYWORDS[method]),
            ]
            for method, options in METHODS.items()
        ]
    names = ("method", "seconds", "Mpx per s", "CPU s", "peak GiB", "estimate alone, Mpx per s")
    return [Table("Cost", names, rows)]
