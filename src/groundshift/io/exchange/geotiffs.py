"""Displacement rasters of other programs, a GeoTIFF for each pair.

What bands are is told by their descriptions or by the user; both dates are in the name, or those of
both images are, with _X_ between them as ITS_LIVE has it. COSI-Corr describes its bands as
East/West, North/South and SNR; on a map the first two are metres to the east and to the north.
Bands that are called as ours are need units beside the name. AutoRIFT describes nothing, so
somebody has to say what its bands are. A signal-to-noise ratio is no score of ours and not used.
"""

import re
from pathlib import Path

import numpy as np
import xarray as xr

from groundshift.errors import ImageError
from groundshift.grid import geobox_of
from groundshift.io import raster
from groundshift.io.dates import name_time
from groundshift.io.exchange.labels import check_dates, label_field
from groundshift.io.exchange.velocities import PER_YEAR, YEAR

METRES = {"m", "metre", "metres", "meter", "meters"}
COSICORR = {"east/west": "dx", "north/south": "dy", "ew": "dx", "ns": "dy"}
NAMES = ("dx", "dy", "sigma_dx", "sigma_dy", "score", "vx", "vy", "sigma_vx", "sigma_vy")
"""What bands can be: metres, and metres per year of 365 days."""
IGNORED = "-"
DAY = re.compile(r"(?<!\d)(?:(\d{4})-(\d\d)-(\d\d)|(\d{4})(\d\d)(\d\d))(?:T(\d{6}))?(?!\d)")
REMEDY = (
    "say what the bands are, such as bands='dx,dy,-': dx, dy, sigma_dx, sigma_dy in metres, vx, "
    "vy, sigma_vx, sigma_vy in metres per year, - for what is not used"
)


def read(path: Path, bands: str | None = None) -> xr.Dataset:
    """Return a displacement field; lazily.

    Parameters
    ----------
    bands
        What they are, in order, with commas between; by default as their descriptions say.

    Raises
    ------
    ImageError
        If that, units, or dates are unknown.
    """
    with raster.inspect(str(path)) as source:
        told = [(text or "").strip() for text in source.descriptions]
        units = [(text or "").strip().lower() for text in source.units]
        declared = source.nodatavals
    numbers = _told(path, told, units) if bands is None else _stated(path, len(told), bands)
    kind = "d" if "dx" in numbers else "v"
    if {f"{kind}x", f"{kind}y"} - set(numbers):
        names = ", ".join(filter(None, told)) or "unnamed"
        raise ImageError(
            f"{path} is not a displacement field that can be read: no band is known to be "
            f"displacement along x, or none along y ({names}); "
            f"pass the output of `groundshift track`, or {REMEDY}"
        )
    first, second = times_of(path)
    images = {
        # Undeclared, zeros are measurements.
        name: raster.open(
            str(path),
            band=number,
            nodata=np.nan if declared[number - 1] is None else declared[number - 1],
        )
        for name, number in numbers.items()
    }
    grid = geobox_of(images[f"{kind}x"])
    if grid.crs is None:
        raise ImageError(
            f"{path} has no coordinate reference system, and displacement in metres needs one; "
            "add it with gdal_edit.py -a_srs"
        )
    share = 1.0 if kind == "d" else (second - first) / YEAR
    planes = {}
    for axis in "xy":
        planes[f"d{axis}"] = images[f"{kind}{axis}"].variable * np.float32(share)
        if f"sigma_{kind}{axis}" in images:
            sigma = images[f"sigma_{kind}{axis}"].variable
            planes[f"sigma_d{axis}"] = sigma * np.float32(abs(share))
    if "score" in images:
        planes["score"] = images["score"].variable
    return label_field(planes, first, second, grid, path.name)


def times_of(path: Path) -> tuple[np.datetime64, np.datetime64]:
    """Return both dates in a name.

    Raises
    ------
    ImageError
        If there are not two, or they are the same.

    Examples
    --------
    >>> [str(day)[:10] for day in times_of(Path("offset_20160711_20160723.tif"))]
    ['2016-07-11', '2016-07-23']
    """
    halves = path.stem.split("_X_")
    if len(halves) == 2:
        found = [time for half in halves if (time := name_time(half)) is not None]
    else:
        found = [_time(match) for match in DAY.finditer(path.stem)]
    if len(found) != 2:
        raise ImageError(
            f"{path} has {len(found)} dates in its name and not two; call it by those of both "
            "images, the reference first, such as 20160711_20160723.tif"
        )
    first, second = found
    check_dates(np.array([first]), np.array([second]), path.name)
    return first, second


def _time(match: re.Match[str]) -> np.datetime64:
    year, month, day = match.group(1, 2, 3) if match[1] else match.group(4, 5, 6)
    clock = match[7] or "000000"
    text = f"{year}-{month}-{day}T{clock[:2]}:{clock[2:4]}:{clock[4:]}"
    try:
        return np.datetime64(text, "ns")
    except ValueError as error:
        raise ImageError(f"{match[0]} in {match.string} is no date; rename the file") from error


def _stated(path: Path, count: int, bands: str) -> dict[str, int]:
    words = [word.strip().lower() for word in bands.split(",")]
    wrong = [word for word in words if word not in NAMES and word != IGNORED]
    names = [word for word in words if word != IGNORED]
    if wrong or len(set(names)) < len(names) or len(words) > count:
        raise ImageError(f"bands={bands!r} does not fit the {count} bands of {path}; {REMEDY}")
    return {word: number for number, word in enumerate(words, 1) if word != IGNORED}


def _told(path: Path, told: list[str], units: list[str]) -> dict[str, int]:
    found = {}
    for number, (text, unit) in enumerate(zip(told, units, strict=True), 1):
        name = text.lower()
        if name in COSICORR and unit in {"", *METRES}:
            found[COSICORR[name]] = number
        elif name in NAMES:
            wanted = METRES if name[-2] == "d" else PER_YEAR
            if name != "score" and unit not in wanted:
                raise ImageError(
                    f"{path}: units of the band {text} are {unit or 'not told'}; {REMEDY}"
                )
            found[name] = number
    return found
