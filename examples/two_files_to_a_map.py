"""From two GeoTIFFs to a map of the displacement, in metres.

The files are made here, so that the true motion is known: a radar scene over which a fault slipped
by 1.8 px among long waves, on a 10 m grid in UTM zone 33. With images of your own, begin at
"open".
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio

import groundshift
from groundshift.synth import demo_pair

PIXEL = 10.0
"""Metres."""


def write(path: Path, image: np.ndarray) -> None:
    """Save an image on a north-up UTM grid."""
    corner = rasterio.Affine(PIXEL, 0, 500_000, 0, -PIXEL, 6_000_000)
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "crs": "EPSG:32633"}
    profile |= {"height": image.shape[0], "width": image.shape[1], "transform": corner}
    with rasterio.open(path, "w", **profile) as file:
        file.write(image, 1)


def main(folder: Path) -> None:
    """Make the files, open, track, save, look."""
    truth = demo_pair(seed=3, size=320, coherence=0.9)
    names = [folder / "scene_20200207.tif", folder / "scene_20200219.tif"]
    for name, image in zip(names, (truth.reference, truth.secondary), strict=True):
        write(name, image.numpy())

    # Open: nothing is read yet; the dates come from the names.
    reference, secondary = (groundshift.open_image(name) for name in names)

    # Track: +-8 px of search, a result each 4 px. Lazy as well: saving computes it.
    motion = groundshift.track(reference, secondary, search=8, radiometry="amplitude")
    groundshift.save(groundshift.velocity(motion), folder / "motion.nc")

    # Look: dx is east, dy is north. The rows of the truth count downward.
    motion = groundshift.open_field(folder / "motion.nc").load()
    east = truth.dx.reshape(80, 4, 80, 4).mean((1, 3)).numpy() * PIXEL
    north = -truth.dy.reshape(80, 4, 80, 4).mean((1, 3)).numpy() * PIXEL
    for name, true in (("dx", east), ("dy", north)):
        error = np.abs(motion[name].values - true)
        inside = float((error <= 1.96 * motion[f"sigma_{name}"].values).mean())
        print(
            f"{name}: mean error {np.nanmean(error):.2f} m of {np.abs(true).max():.1f} m, "
            f"{np.isfinite(error).mean():.0%} of the cells measured, "
            f"{inside:.0%} of them within their 95 % interval"
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary))
