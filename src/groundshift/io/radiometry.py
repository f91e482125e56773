"""What an image's numbers mean, and how to make an amplitude of them.

Matching works on amplitudes: intensity gives a few bright points all the weight, decibels give it
to the dark noise, and complex values cannot be compared at all.
"""

import logging
import re
from pathlib import PurePath

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from groundshift.errors import ImageError
from groundshift.io.oversample import amplitude
from groundshift.matchers.peak import band_of_speckle

log = logging.getLogger(__name__)

RADIOMETRIES = ("amplitude", "intensity", "db", "complex", "optical")

OPTICAL = re.compile(
    r"(?<![A-Z0-9])(L[COTEM]0?[1-9](?![0-9]{9})|L[COTEM]\d{14}|LANDSAT|S2[A-D]|SENTINEL-?2|MSIL[12]|"
    r"T\d\d[A-Z]{3}_\d{8}|NAIP|PLANET|PSSCENE|RAPIDEYE|SPOT|PHR|PLEIADES|WV0|WORLDVIEW|ASTER|AST_|"
    r"ORTHO|HILLSHADE|DEM|B\d\dA?(?=[_.]))",
    re.IGNORECASE,
)
RADAR = re.compile(
    r"(?<![A-Z0-9])(S1[A-D]|SENTINEL-?1|TSX|TDX|TERRASAR|CSK|CSG|COSMO|ALOS|PALSAR|ERS-?[12]|"
    r"ENVISAT|ASAR|RADARSAT|RS[12]|RCM|ICEYE|UMBRA|CAPELLA|NISAR|SAOCOM|SAR|GRD[HM]?|SLC|RTC|VV|VH|"
    r"HH|HV|GAMMA0?|SIGMA0?|BETA0?)(?![A-Z0-9])",
    re.IGNORECASE,
)
WINDOW = 11
"""Side of the windows in which speckle is measured, pixels."""
SAMPLE = 16 * WINDOW
NEIGHBOURS = 2 * WINDOW
"""Side of those in which its correlation is: the mean of a small window takes part of it away."""
SINGLE_LOOK = 1.5
"""Looks up to which speckle counts as single-look."""
POWER = {
    "amplitude": np.square,
    "intensity": np.asarray,
    "db": lambda values: 10 ** (values / 10),
}
"""From what an image holds to intensity."""
SPECKLE = 0.35
"""Relative scatter in the calmest tenth of the windows that only single-look speckle reaches."""
INTENSITY = 1.4
"""Skewness over relative scatter: speckle has 1.0 to 1.2 in amplitude, 2 in intensity."""


SKEWED, FEWEST = (0.4, 1.5), 20
"""The same of what is an amplitude without texture, and windows that tell it."""
SEVERAL = 0.42
"""Relative scatter in the calmest tenth of the windows, below which amplitudes are multilooked;
the intensity of one look scatters more than any amplitude can."""


def guess(image: xr.DataArray, *, radar: bool = False) -> str:
    """Guess what the numbers of an image are, and say in the log why.

    In this order: what the user said; the type (complex); the file's name. Radar by name with
    negative floating-point values is in dB; with whole numbers, amplitude. Whether other radar is
    amplitude or intensity is told by its speckle: the skewness divided by the relative scatter is
    2 for intensity and 1 to 1.2 for amplitude, whatever the number of looks. A name that says
    nothing means optical, unless even the calmest windows scatter as much as single-look speckle,
    or the values look like dB. Optical and amplitude images are treated alike, so that only
    intensity and dB matter; when in doubt, say it with ``radiometry=``.

    With `radar`, images whose names say nothing are taken for radar images.
    """
    given = image.attrs.get("radiometry")
    if given:
        return given
    if np.iscomplexobj(image.data):
        kind, why = "complex", "its type"
    else:
        name, optical = _names(image.attrs.get("source", ""))
        if optical:
            kind, why = "optical", f"its name ({optical})"
        else:
            kind, why = _from_values(windows_of(image), radar=radar or bool(name))
            why = f"its name ({name}) and {why}" if name else why
    log.info(
        "%s: taken as %s, from %s; pass radiometry= if that is wrong",
        image.attrs.get("source") or "image",
        kind,
        why,
    )
    return kind


def detect(image: xr.DataArray) -> xr.DataArray:
    """Turn an image into an amplitude; optical images pass.

    Complex images are oversampled by two first (:mod:`groundshift.io.oversample`), so their result
    has half the pixel size.

    Raises
    ------
    ImageError
        When the radiometry contradicts the type of the numbers.
    """
    kind = guess(image)
    if (kind == "complex") != np.iscomplexobj(image.data):
        real = "complex" if kind != "complex" else "real"
        raise ImageError(
            f"{image.attrs.get('source') or 'the image'} is {real}, so its radiometry cannot be "
            f"{kind}; leave radiometry= out, or pass the right one"
        )
    match kind:
        case "complex":
            result, what = amplitude(image), "oversampled x2 and detected"
        case "intensity":
            # Noise subtraction leaves some intensities below zero.
            result = image.copy(data=np.sqrt(image.data.clip(min=0)))
            what = "square root of intensity"
        case "db":
            result = image.copy(data=10 ** (image.data / np.float32(20)))
            what = "amplitude from dB"
        case _:
            return image.assign_attrs(radiometry=kind)
    history = "\n".join(filter(None, [image.attrs.get("history", ""), what]))
    result.encoding |= {k: v for k, v in image.encoding.items() if k == "grid_mapping"}
    return result.astype(np.float32).assign_attrs(
        image.attrs | {"radiometry": "amplitude", "history": history}
    )


def doubt(amplitude: xr.DataArray) -> str:
    """Say what an amplitude may be instead, as the skewness of its speckle tells, or nothing."""
    windows = windows_of(amplitude)
    if len(windows) < FEWEST:
        return ""
    ratio = speckle_ratio(windows)
    if ratio < SKEWED[0]:
        return "decibels, or amplitudes that were taken for intensities"
    several = np.quantile(_scatter(windows), 0.1) < SEVERAL
    return "intensities" if several and ratio > SKEWED[1] else ""


def speckle_bandwidth(image: xr.DataArray, kind: str) -> float:
    """Cycles per pixel that single-look speckle fills; 0 where an image does not show any.

    Detection doubles the bandwidth, so that from 0.5 on the image is aliased. Read from the
    correlation of neighbouring pixels in the calmer half of a sample; multilooked images, and those
    that are not radar, have no single-look speckle.
    """
    if kind not in POWER or np.iscomplexobj(image.data):
        return 0.0
    power = POWER[kind](windows_of(image, NEIGHBOURS))
    power = power[power.mean(axis=1) > 0]
    if power.size == 0:
        return 0.0
    scatter = _scatter(power)
    calm = power[scatter <= np.median(scatter)]
    relative = (calm / calm.mean(axis=1, keepdims=True) - 1).reshape(-1, NEIGHBOURS, NEIGHBOURS)
    variance = float((relative**2).mean())
    if variance * SINGLE_LOOK < 1:
        return 0.0
    along = (relative[:, 1:] * relative[:, :-1]).mean() / variance
    across = (relative[:, :, 1:] * relative[:, :, :-1]).mean() / variance
    return float(band_of_speckle(torch.tensor(min(along, across))))


def _names(source: str) -> tuple[str, str]:
    """Names of radar and of optical missions in the file's name, else in that of its folder."""
    for part in PurePath(source).parts[:-3:-1]:
        for kind, pattern in (("radar", RADAR), ("optical", OPTICAL)):
            if found := pattern.search(part):
                return (found[0], "") if kind == "radar" else ("", found[0])
    return "", ""


def _from_values(windows: NDArray[np.float64], *, radar: bool) -> tuple[str, str]:
    """Guess from a sample, and say what told it."""
    if windows.size == 0:
        return ("amplitude" if radar else "optical"), "no data in the sample"
    decibels = np.median(windows) < 0 and windows.min() > -100 and windows.max() < 50
    if decibels or (radar and (windows < 0).mean() > 0.01):
        return "db", "its negative values"
    if not radar and np.quantile(_scatter(windows), 0.1) < SPECKLE:
        return "optical", "the absence of strong speckle and of a name that says otherwise"
    if np.array_equal(windows, np.round(windows)) and windows.max() > 1:
        return "amplitude", "its whole numbers"
    ratio = speckle_ratio(windows)
    kind = "intensity" if ratio > INTENSITY else "amplitude"
    return kind, f"its speckle (skewness / scatter {ratio:.2f})"


def speckle_ratio(windows: NDArray[np.float64]) -> float:
    """Skewness over relative scatter in the calmer half of the windows, shape (n, pixels)."""
    scatter = _scatter(windows)
    if scatter.size == 0:
        return 1.0
    calm = windows[scatter <= np.median(scatter)]
    relative = calm / calm.mean(axis=1, keepdims=True) - 1
    spread = np.sqrt((relative**2).mean())
    return float((relative**3).mean() / spread**4) if spread > 0 else 1.0


def _scatter(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    mean = windows.mean(axis=1)
    return windows.std(axis=1) / np.where(mean > 0, mean, np.inf)


def windows_of(image: xr.DataArray, side: int = WINDOW) -> NDArray[np.float64]:
    """Complete windows from five places of the image, shape (n, pixels)."""
    height, width = image.shape
    found = []
    for fy, fx in ((0.5, 0.5), (0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)):
        top, left = (int(f * max(n - SAMPLE, 0)) for f, n in ((fy, height), (fx, width)))
        part = np.asarray(image.data[top : top + SAMPLE, left : left + SAMPLE], np.float64)
        rows, columns = (n // side for n in part.shape)
        part = part[: rows * side, : columns * side]
        tiles = part.reshape(rows, side, columns, side).swapaxes(1, 2)
        found.append(tiles.reshape(rows * columns, side * side))
    windows = np.concatenate(found)
    return windows[np.isfinite(windows).all(axis=1)]
