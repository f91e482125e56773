"""What the functions of this package share: planes of a field as arrays, and robust statistics."""

import numpy as np
import xarray as xr

from groundshift.field import COHERENCES, DISPLACEMENTS, VELOCITIES
from groundshift.grid import geobox_of
from groundshift.grid.motion import NMAD


def planes(field: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return ``dx`` and ``dy``, 64 bits, NaN together."""
    dx, dy = (np.array(field[name].values, np.float64) for name in ("dx", "dy"))
    unknown = ~(np.isfinite(dx) & np.isfinite(dy))
    dx[unknown] = dy[unknown] = np.nan
    return dx, dy


def keep(field: xr.Dataset, good: np.ndarray) -> xr.Dataset:
    """Return a field without the cells that are not good."""
    names = [n for n in (*DISPLACEMENTS, *COHERENCES, *VELOCITIES) if n in field.data_vars]
    return field.assign(
        {n: field[n].copy(data=np.where(good, field[n].values, np.float32(np.nan))) for n in names}
    )


def moved(field: xr.Dataset, dx: np.ndarray, dy: np.ndarray) -> xr.Dataset:
    """Return a field with other displacements; velocities follow."""
    changed = {
        name: field[name].copy(data=plane.astype(np.float32))
        for name, plane in (("dx", dx), ("dy", dy))
    }
    for name, plane in (("vx", dx), ("vy", dy)):
        if name in field.data_vars:
            with np.errstate(invalid="ignore", divide="ignore"):
                years = np.nanmedian(field[f"d{name[1]}"].values / field[name].values)
            changed[name] = field[name].copy(data=(plane / years).astype(np.float32))
    return field.assign(changed)


def pixel(field: xr.Dataset) -> float:
    """Return the size of a pixel of the image, in the units of the displacement."""
    grid = geobox_of(field)
    if grid.crs is None:
        return 1.0
    resolution = abs(grid.resolution.x) / int(field.attrs.get("stride", 1))
    if grid.crs.geographic:
        return resolution * 111_320.0
    return resolution


def said(field: xr.Dataset, step: str) -> xr.Dataset:
    """Return a field whose history ends with a step."""
    history = "\n".join(filter(None, [field.attrs.get("history", ""), step]))
    return field.assign_attrs(history=history)


def nmad(values: np.ndarray) -> float:
    """Return 1.4826 times the median absolute deviation from the median of what is known."""
    known = values[np.isfinite(values)]
    return float(NMAD * np.median(np.abs(known - np.median(known)))) if known.size else np.nan
