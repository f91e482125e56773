"""Images as planes of a bank: which bands, which kind of texture, which levels."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
import xarray as xr
from rasterio.enums import ColorInterp
from rasterio.warp import transform_bounds

from groundshift.errors import ImageError
from groundshift.io import open_image, radiometry, raster
from groundshift.io.pack.middle import window
from groundshift.io.provenance import Provenance, provenance
from groundshift.synth import bank
from groundshift.synth.levels import Scale, scale_of

SMALLEST = 64
"""Pixels along each side below which an image is of no use."""
SMOOTH = 30.0
"""Looks from which radar counts as free of speckle."""
WINDOW = 11
"""Side of the windows in which looks are counted, pixels."""

_OPTICAL = re.compile(r"(?<![A-Z0-9])S2(?![0-9])|OPTI(CAL|QUE)", re.IGNORECASE)
_RADAR = re.compile(r"(?<![A-Z0-9])S1(?![0-9])|RADAR", re.IGNORECASE)


class Plane(NamedTuple):
    """One band of one file."""

    name: str
    stem: str
    band: int
    date: str
    grid: tuple
    """Shape, CRS and geotransform; equal for planes on the same pixels."""
    footprint: tuple[float, float, float, float] | None
    """Longitudes and latitudes, west, south, east, north."""
    kind: str
    about: Provenance
    scale: Scale
    levels: np.ndarray


def planes_of(
    path: Path, root: Path, bands: Sequence[int | str] | None, kind: str | None, most: int
) -> Iterator[Plane]:
    """Read the wanted bands of one file, each cut to `most` pixels."""
    about = provenance(path, root)
    name = path.relative_to(root).as_posix()
    chosen = _bands(path, bands)
    for band in chosen:
        image = open_image(path, band=band)
        if min(image.shape) < SMALLEST:
            raise ImageError(f"{image.shape[1]} x {image.shape[0]} pixels are too few")
        image = _middle(image, most)
        where = kind or about.kind or _light(path, root)
        values, what = _values(image, where)
        scale = scale_of(values, what)
        yield Plane(
            name=name if len(chosen) == 1 else f"{name}:{band}",
            stem=re.sub(r"\d+", "#", name),
            band=band,
            date=_date(image, path),
            grid=_grid(image),
            footprint=_footprint(image),
            kind=what,
            about=about,
            scale=scale,
            levels=scale.levels(values),
        )


def _bands(path: Path, wanted: Sequence[int | str] | None) -> list[int]:
    """Numbers of the bands to take."""
    with raster.inspect(str(path)) as dataset:
        data = [i for i in dataset.indexes if dataset.colorinterp[i - 1] != ColorInterp.alpha]
        if len(data) < 2:
            return data or [1]
        if wanted is not None:
            return [raster.choose_band(dataset, str(path), band) for band in wanted]
        try:
            return [raster.choose_band(dataset, str(path), None)]
        except ImageError:  # they differ
            return data


def _middle(image: xr.DataArray, most: int) -> xr.DataArray:
    """Cut a very large image to its middle before it is read."""
    rows, columns = window(image.shape, most / image.size)
    return image[rows, columns]


def _light(path: Path, root: Path) -> str | None:
    """Tell by names, from the file's to the outermost folder's, whether light or radar made it."""
    for part in reversed(PurePath(path.relative_to(root)).parts):
        optical = bool(_OPTICAL.search(part) or radiometry.OPTICAL.search(part))
        radar = bool(_RADAR.search(part) or radiometry.RADAR.search(part))
        if optical != radar:
            return "optical" if optical else "radar"
    return None


def _values(image: xr.DataArray, told: str | None) -> tuple[np.ndarray, str]:
    """Amplitude of radar or values of an optical image, and the kind of texture."""
    if told is not None and told not in (*bank.KINDS, "radar"):
        raise ImageError(f"kind: {told} is not known; write one of {', '.join(bank.KINDS)}")
    if told == "optical":
        return image.values, told
    guess = radiometry.guess(image)
    if guess == "optical":
        if told is None:
            return image.values, guess
        guess = "amplitude"
    amplitude = radiometry.detect(image.assign_attrs(radiometry=guess)).values
    if told in bank.KINDS:
        return amplitude, told
    return amplitude, "reflectivity" if looks(amplitude) >= SMOOTH else "detected"


def looks(amplitude: np.ndarray) -> float:
    """Equivalent number of looks, in the calmest tenth of small windows; infinite if constant."""
    rows, columns = (n // WINDOW for n in amplitude.shape)
    power = amplitude[: rows * WINDOW, : columns * WINDOW].astype(np.float64) ** 2
    windows = power.reshape(rows, WINDOW, columns, WINDOW).swapaxes(1, 2)
    windows = windows.reshape(-1, WINDOW * WINDOW)
    windows = windows[np.isfinite(windows).all(axis=1)]
    windows = windows[windows.mean(axis=1) > 0]
    if len(windows) == 0:
        return 1.0
    scatter = np.quantile(windows.std(axis=1) / windows.mean(axis=1), 0.1)
    return float(scatter**-2) if scatter > 0 else np.inf


def _date(image: xr.DataArray, path: Path) -> str:
    time = image["time"].values
    return path.stem if np.isnat(time) else str(np.datetime_as_string(time, unit="D"))


def _grid(image: xr.DataArray) -> tuple:
    box = image.odc.geobox
    return image.shape, str(box.crs), tuple(box.affine)[:6]


def _footprint(image: xr.DataArray) -> tuple[float, float, float, float] | None:
    box = image.odc.geobox
    if box.crs is None:
        return None
    return transform_bounds(str(box.crs), "EPSG:4326", *box.extent.boundingbox.bbox)
