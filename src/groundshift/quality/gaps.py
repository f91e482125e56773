"""Fill gaps from around them, and say what was filled."""

import numpy as np
import xarray as xr
from scipy import ndimage

from groundshift.errors import GroundshiftError
from groundshift.field import ATTRS, check
from groundshift.quality.cells import said

NAMES = ("dx", "dy", "sigma_dx", "sigma_dy")


def fill(field: xr.Dataset, distance: int) -> xr.Dataset:
    """Fill cells that were not measured from those around them that were.

    What is filled is the mean of what is measured around, weighed by a Gaussian about as wide as
    the nearest measured cell is far; its sigma is the scatter of these and their own sigma
    together. It is not a measurement.

    Parameters
    ----------
    distance
        Cells to the nearest measured one, at most; beyond, gaps stay.

    Returns
    -------
    xr.Dataset
        With the variable ``filled``: 1 where filled, 0 where measured or still a gap.
    """
    check(field)
    if distance < 1:
        raise GroundshiftError(f"distance={distance} fills nothing; give 1 cell or more")
    planes = {name: np.array(field[name].values, np.float64) for name in NAMES}
    known = np.isfinite(planes["dx"]) & np.isfinite(planes["dy"])
    apart = np.full(known.shape, np.inf)
    if known.any():
        ndimage.distance_transform_edt(~known, distances=apart)
    gaps = ~known & (apart <= distance)
    widths = 2.0 ** np.arange(int(np.ceil(np.log2(max(2, distance)))) + 1)
    low = 0.0
    for width in widths:
        ring = gaps & (apart > low) & (apart <= width)
        low = width
        if ring.any():
            _fill(planes, known, ring, width)
    filled = xr.DataArray(
        gaps.astype(np.float32), dims=("y", "x"), attrs=ATTRS["filled"], name="filled"
    )
    filled.encoding |= {k: v for k, v in field["dx"].encoding.items() if k == "grid_mapping"}
    changed = {
        name: field[name].copy(data=np.where(gaps, plane, field[name].values).astype(np.float32))
        for name, plane in planes.items()
    }
    share = gaps.mean()
    step = f"gaps filled up to {distance} cells from what was measured: {share:.1%} of all cells"
    return said(field.assign(changed | {"filled": filled}), step)


def _fill(planes: dict[str, np.ndarray], known: np.ndarray, ring: np.ndarray, width: float) -> None:
    """Fill cells from measured ones, weighed by a Gaussian of some width."""
    total = _blur(known.astype(np.float64), width)[ring]
    for name in ("dx", "dy"):
        plane, sigma = planes[name], planes[f"sigma_{name}"]
        whole = np.where(known, plane, 0.0)
        mean = _blur(whole, width)[ring] / total
        scatter = _blur(whole**2, width)[ring] / total - mean**2
        own = _blur(np.where(known, np.nan_to_num(sigma) ** 2, 0.0), width)[ring] / total
        plane[ring] = mean
        sigma[ring] = np.sqrt(np.clip(scatter, 0, None) + own)


def _blur(plane: np.ndarray, width: float) -> np.ndarray:
    return ndimage.gaussian_filter(plane, width, mode="constant", truncate=4.0)
