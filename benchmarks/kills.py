"""`stack` and `invert` killed at random moments: the result must be that of an undisturbed run."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
import xarray as xr

import groundshift
from benchmarks.report import Table, Value
from groundshift.interpolate import sample
from groundshift.synth import speckle

DATES, SIZE, KILLS = 8, 640, 24
LOADING = 2.5
"""Seconds that a program takes to begin, roughly."""
TITLE = "Killed runs"
TEXT = f"""`groundshift stack` of {DATES} images of {SIZE} px (all pairs, `NCC`, a result each
4 px), and `groundshift invert` of what it makes, are ended by SIGKILL at random moments and
repeated, until each has been killed {KILLS} times or more; whenever one comes to its end, the next
begins anew. Each result is compared with that of a run that nobody disturbed, number by number."""


def images(folder: Path) -> list[str]:
    """Write speckle that moves faster from the left to the right."""
    generator = torch.Generator().manual_seed(5)
    scene = speckle((SIZE + 32, SIZE + 32), 0.4, generator).abs()
    y, x = torch.meshgrid(*(torch.arange(SIZE, dtype=torch.float32) + 16,) * 2, indexing="ij")
    names = []
    for k in range(DATES):
        moved = sample(scene, y, x - 0.4 * k * x / SIZE)
        moved += 0.2 * speckle((SIZE, SIZE), 0.4, generator).abs()
        path = folder / f"S1_202001{5 + 3 * k:02d}.tif"
        profile = {"driver": "GTiff", "width": SIZE, "height": SIZE, "count": 1, "dtype": "float32"}
        profile |= {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 6e6)}
        with rasterio.open(path, "w", **profile) as file:
            file.write(moved.numpy(), 1)
        names.append(str(path))
    return names


def run(words: list[str], seconds: float | None = None) -> tuple[bool, float]:
    """Run a command, kill it after some seconds; tell whether it came to its end, and when."""
    began = time.monotonic()
    program = str(Path(sys.executable).with_name("groundshift"))
    process = subprocess.Popen(
        [program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return False, time.monotonic() - began
    if process.returncode:
        raise RuntimeError(f"groundshift {' '.join(words)}: {said.decode()}")
    return True, time.monotonic() - began


def differences(found: xr.Dataset, whole: xr.Dataset) -> int:
    """Count the numbers that are not the same."""
    names = [*whole.data_vars, *(name for name in whole.coords if whole[name].ndim)]
    return sum(
        int((~((found[n] == whole[n]) | (found[n].isnull() & whole[n].isnull()))).sum())
        for n in names
    )


def disturbed(words: list[str], out: Path, seed: int) -> list[Value]:
    """Kill a command again and again, and compare what it makes in the end."""
    _, seconds = run([*words, str(out)])
    whole = groundshift.open_field(out).load()
    left = {path.name for path in out.parent.iterdir()}
    rng, kills, ends, different = np.random.default_rng(seed), 0, 0, 0
    again = 0
    while kills < KILLS:
        _clear(out)
        finished = False
        while not finished:
            finished, _ = run([*words, str(out)], rng.uniform(LOADING, max(LOADING + 1, seconds)))
            kills += not finished
            again += out.with_name(out.name + ".partial").exists() and not finished
        different += differences(groundshift.open_field(out).load(), whole)
        ends += 1
    more = len({path.name for path in out.parent.iterdir()} - left)
    return [words[0], seconds, kills, again, ends, different, more]


def _clear(out: Path) -> None:
    for path in out.parent.glob(f"{out.name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def tables() -> list[Table]:
    """Kill both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "images").mkdir()
        (folder / "results").mkdir()
        files = images(folder / "images")
        matcher = ("--matcher", "NCC(window=32, search=4, stride=4)", "--radiometry", "amplitude")
        cube = folder / "pairs.zarr"
        words = ["stack", *files, "--following", str(DATES), *matcher]
        rows = [disturbed(words, folder / "results" / "pairs.zarr", 1)]
        run([*words, str(cube)])
        rows.append(disturbed(["invert", str(cube)], folder / "results" / "history.zarr", 2))
    columns = (
        "command",
        "seconds undisturbed",
        "kills",
        "of these with work to go on with",
        "runs to the end",
        "numbers that differ",
        "files left behind",
    )
    return [Table("Killed at random moments", columns, rows)]
