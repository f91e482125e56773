"""Coherence of a whole scene of Sentinel-1: time and memory of the command line."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rasterio
import torch
from rasterio.windows import Window as Block

from benchmarks.memory import resident
from benchmarks.report import Table, Value
from groundshift.synth import sentinel1
from groundshift.synth.motions import Constant
from groundshift.synth.radar import Surface, acquire

SHAPE = tuple(map(int, os.environ.get("GROUNDSHIFT_BENCHMARK_SCENE", "17000x25000").split("x")))
BLOCK = 1024
METHODS = {
    "net": ("--memory", "3GiB"),
    "Pearson 9": ("--estimator", "pearson", "--window", "9", "--memory", "3GiB"),
}

TITLE = "Coherence of a scene"
TEXT = f"""`groundshift coherence` on two float32 GeoTIFFs of {SHAPE[1]} x {SHAPE[0]} px, a
simulated GRD of {BLOCK} px over and over;
{", ".join(f"{name}: `{' '.join(options)}`" for name, options in METHODS.items())}.
Seconds of the clock, all from reading to the written COG, on both cores; peak resident memory of
the process tree, sampled every 0.5 s, with what the imports take (0.4 GiB)."""


def write_pair(folder: Path) -> list[str]:
    """Write both images block by block."""
    radar = sentinel1.grd()
    one = torch.tensor(1.0)
    n = BLOCK * radar.fine + 64
    gamma = torch.linspace(0, 1, n).expand(n, n)
    surface = Surface(gamma, one, one, one * 0j)
    pair = acquire(radar, surface, Constant(), BLOCK, torch.Generator().manual_seed(1))
    names = []
    for name, image in (("S1_20200207.tif", pair.reference), ("S1_20200219.tif", pair.secondary)):
        values, (height, width) = image.numpy(), SHAPE
        profile = {"driver": "GTiff", "width": width, "height": height, "count": 1, "tiled": True}
        profile |= {"blockxsize": 512, "blockysize": 512, "dtype": "float32", "bigtiff": "yes"}
        profile |= {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 6e6)}
        with rasterio.open(folder / name, "w", **profile) as file:
            for top in range(0, height, BLOCK):
                for left in range(0, width, BLOCK):
                    rows, columns = min(BLOCK, height - top), min(BLOCK, width - left)
                    file.write(values[:rows, :columns], 1, window=Block(left, top, columns, rows))
        names.append(str(folder / name))
    return names


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


def tables() -> list[Table]:
    """Run each method."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = write_pair(folder)
        rows: list[list[Value]] = [
            [method, *measured(images, folder / "coherence.tif", options)]
            for method, options in METHODS.items()
        ]
    return [Table("Cost", ("method", "seconds", "Mpx per s", "CPU s", "peak GiB"), rows)]
