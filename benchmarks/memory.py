"""Peak memory of a pair far larger than memory: the command line on two big GeoTIFFs."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window as Block

from benchmarks.pairs import moved_texture
from benchmarks.report import Table, Value
from groundshift.synth import Waves

SIZE = int(os.environ.get("GROUNDSHIFT_BENCHMARK_SIZE", "20000"))
BLOCK = 1024
TITLE = "Memory of a large pair"
TEXT = f"""`groundshift track a.tif b.tif motion.tif --stride 8 --search 16 --memory 2GiB` on two
float32 GeoTIFFs of {SIZE} x {SIZE} px: peak resident memory of the process tree, sampled every
0.2 s. The bar is 4 GiB."""


def write_pair(folder: Path) -> list[str]:
    """Write both images block by block: one periodic texture and its moved twin, repeated."""
    waves = Waves((3.0, 3.0), (float(BLOCK), float(BLOCK)), direction=(0.0, np.pi / 2))
    pair = moved_texture(BLOCK, 401, waves)
    names = ("a.tif", "b.tif")
    return [
        repeated(folder / name, image.numpy(), (SIZE, SIZE))
        for name, image in zip(names, pair[:2], strict=True)
    ]


def repeated(path: Path, values: np.ndarray, shape: tuple[int, ...]) -> str:
    """Write an image over and over, block by block, as a GeoTIFF of some rows and columns."""
    height, width = shape
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 1, "tiled": True}
    profile |= {"blockxsize": 512, "blockysize": 512, "dtype": "float32", "bigtiff": "yes"}
    profile |= {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 6e6)}
    with rasterio.open(path, "w", **profile) as file:
        for top in range(0, height, BLOCK):
            for left in range(0, width, BLOCK):
                rows, columns = min(BLOCK, height - top), min(BLOCK, width - left)
                file.write(values[:rows, :columns], 1, window=Block(left, top, columns, rows))
    return str(path)


def resident(root: int) -> float:
    """Resident memory of a process and its descendants, GiB."""
    parents, sizes = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int(
                    (folder / "stat").read_text().rsplit(")")[-1].split()[1]
                )
                sizes[int(folder.name)] = int((folder / "statm").read_text().split()[1])
            except (OSError, IndexError):
                continue
    family = {root}
    while grown := {child for child, parent in parents.items() if parent in family} - family:
        family |= grown
    return sum(sizes.get(member, 0) for member in family) * os.sysconf("SC_PAGE_SIZE") / 2**30


def tables() -> list[Table]:
    """Run it."""
    with tempfile.TemporaryDirectory() as folder:
        images = write_pair(Path(folder))
        program = str(Path(sys.executable).with_name("groundshift"))
        options = ("--stride", "8", "--search", "16", "--memory", "2GiB", "--radiometry", "optical")
        peak = 0.0
        process = subprocess.Popen((program, "track", *images, f"{folder}/motion.tif", *options))
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            time.sleep(0.2)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        if process.returncode:
            raise RuntimeError(f"groundshift track ended with {process.returncode}")
        size = Path(f"{folder}/motion.tif").stat().st_size / 1e6
    rows: list[list[Value]] = [[SIZE, peak, usage.ru_utime + usage.ru_stime, size]]
    return [Table("Peak memory", ("pixels per side", "peak GiB", "CPU s", "output MB"), rows)]
