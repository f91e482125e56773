"""From images of six dates to where the ground was at each of them, and how fast it went.

A glacier is simulated in radar images, of 1.7 m a day in its middle, on pixels of 10 m.
With files of your own, begin at "stack". The same from the command line: `groundshift stack images/
pairs.zarr`, `groundshift invert pairs.zarr history.nc --stable rock.tif` and `groundshift fit
pairs.zarr velocity.tif --stable rock.tif`.
"""

import tempfile
from pathlib import Path

import numpy as np
import rasterio
import torch

import groundshift
from groundshift.synth.motions import Scaled
from groundshift.synth.radar import Radar
from groundshift.synth.series import Decay, acquire_series
from groundshift.synth.slides import Landslide

SIZE, DAYS, PIXEL, SPEED = 256, (5, 17, 29), 10.0, 1.7
NAMES = [f"scene_2020{month:02d}{day:02d}.tif" for month in (1, 2) for day in DAYS]
GLACIER = Landslide(1.0, (128.0, 128.0), 0.4, (90.0, 50.0), ((2, 0.1, 0.3),), 0.3, 8.0)


def simulate(folder: Path) -> None:
    """Write images on a 10 m grid in UTM zone 33."""
    days = [31.0 * (name[10:12] == "02") + float(name[12:14]) for name in NAMES]
    moved = [Scaled(GLACIER, SPEED / PIXEL * (day - days[0])) for day in days]
    decay, generator = Decay(torch.tensor(0.5), torch.tensor(60.0)), torch.Generator()
    made = acquire_series(
        Radar(bandwidth=0.4), torch.tensor(1.0), decay, days, moved, SIZE, generator.manual_seed(1)
    )
    corner = rasterio.Affine(PIXEL, 0, 500_000, 0, -PIXEL, 6_000_000)
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "crs": "EPSG:32633"}
    profile |= {"height": SIZE, "width": SIZE, "transform": corner}
    for name, image in zip(NAMES, made, strict=True):
        with rasterio.open(folder / name, "w", **profile) as file:
            file.write(image.numpy(), 1)


def main(folder: Path) -> None:
    """Simulate, stack, invert, fit, look."""
    simulate(folder)
    images = [groundshift.open_image(folder / name) for name in NAMES]

    # Stack: each image with the next three, +-8 px of search, a result each 4 px. If it is stopped,
    # the same call goes on.
    pairs = groundshift.stack(images, folder / "pairs.zarr", search=8, radiometry="amplitude")

    # Invert: pairs that contradict the others are left out. What is stable ties them all, and tells
    # how wrong each image is as a whole.
    rows, columns = np.meshgrid(np.arange(64) - 32, np.arange(64) - 32, indexing="ij")
    rock = np.hypot(rows, columns) > 28
    groundshift.save(groundshift.invert(pairs, stable=rock), folder / "history.nc")
    history = groundshift.open_field(folder / "history.nc").load()
    for number, time in enumerate(history.time.values):
        there = history.isel(time=number, y=32, x=32)
        print(
            f"{str(time)[:10]}: {float(there.dx):6.1f} +- {float(there.sigma_dx):4.2f} m east, "
            f"{float(there.dy):6.1f} +- {float(there.sigma_dy):4.2f} m north"
        )

    # Fit: a velocity straight from the pairs.
    there = groundshift.fit(pairs, stable=rock).isel(y=32, x=32).compute()
    speed = np.hypot(float(there.velocity_x), float(there.velocity_y))
    print(f"{speed:.0f} m a year; that of the simulation is {SPEED * 365.25:.0f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
