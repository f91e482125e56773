"""How the ground was strained: gradients of the displacement, by planes fitted around each cell."""

import numpy as np
import xarray as xr
from scipy import ndimage

from groundshift.errors import GroundshiftError
from groundshift.field import check
from groundshift.grid import geobox_of, metres_of_unit

ATTRS = {
    "exx": "strain along x",
    "eyy": "strain along y",
    "exy": "shear strain, half the change of a right angle",
    "dilatation": "dilatation, the relative change of area",
    "shear": "largest shear strain",
    "rotation": "rotation, half the curl, anticlockwise, radians",
    "sigma_exx": "standard deviation of exx, that of the noise alone",
    "sigma_eyy": "standard deviation of eyy, that of the noise alone",
    "sigma_exy": "standard deviation of exy and of rotation, that of the noise alone",
    "sigma_dilatation": "standard deviation of dilatation, that of the noise alone",
}


def strain(field: xr.Dataset, window: int, *, correlated: float = 1.0) -> xr.Dataset:
    """Fit a plane to the displacement in a window around each cell; its slopes are the strain.

    For small strains: ``exx = d dx/dx``, ``eyy = d dy/dy``, ``exy = (d dx/dy + d dy/dx) / 2``,
    along the axes of the map; without georeferencing those of the image, y downward, but for
    rotation, which is anticlockwise as one looks at it.

    Parameters
    ----------
    window
        Cells, odd: no less than the matcher's window over its stride, or correlated errors of
        neighbours pass for strain.
    correlated
        Cells whose errors are alike, about the matcher's window over its stride, squared: by its
        root sigma is larger than for independent ones.

    Returns
    -------
    xr.Dataset
        ``exx, eyy, exy, dilatation, shear, rotation``, and ``sigma_exx, sigma_eyy, sigma_exy`` (of
        rotation as well) and ``sigma_dilatation``, NaN where the field knows no sigma; all NaN
        where less than half of the window was measured.
    """
    check(field)
    if window < 3 or window % 2 == 0:
        raise GroundshiftError(f"window={window} must be odd, 3 or more")
    grid = geobox_of(field)
    if grid.crs is not None and grid.crs.geographic:
        raise GroundshiftError("strain is of metres; reproject the field to a projected grid first")
    unit = 1.0 if grid.crs is None else metres_of_unit(grid)
    affine = grid.affine
    # Columns and rows of a metre along x, and of one along y.
    turn = np.linalg.inv(np.array([[affine.a, affine.b], [affine.d, affine.e]]) * unit)
    known = np.isfinite(field["dx"].values) & np.isfinite(field["dy"].values)
    moments = _Moments(known.astype(float), window)
    slopes = {}
    for name in ("dx", "dy"):
        values = np.where(known, field[name].values, 0.0).astype(float)
        slopes[name] = np.einsum("kxy,ka->axy", np.stack(moments.slopes(values)), turn)
    exx, eyy = slopes["dx"][0], slopes["dy"][1]
    across, along = slopes["dx"][1], slopes["dy"][0]
    exy = (across + along) / 2
    spread = correlated * np.einsum("klxy,ka,la->axy", moments.spread(), turn, turn)
    vx, vy = (_variance(moments, field[name].values) for name in ("sigma_dx", "sigma_dy"))
    found = {
        "exx": exx,
        "eyy": eyy,
        "exy": exy,
        "dilatation": exx + eyy,
        "shear": np.hypot((exx - eyy) / 2, exy),
        "rotation": (along - across) / 2 * (-1 if grid.crs is None else 1),
        "sigma_exx": np.sqrt(vx * spread[0]),
        "sigma_eyy": np.sqrt(vy * spread[1]),
        "sigma_exy": np.sqrt(vx * spread[1] + vy * spread[0]) / 2,
        "sigma_dilatation": np.sqrt(vx * spread[0] + vy * spread[1]),
    }
    return xr.Dataset(
        {
            name: (("y", "x"), plane.astype(np.float32), {"long_name": ATTRS[name], "units": "1"})
            for name, plane in found.items()
        },
        coords=field.coords,
        attrs={k: field.attrs[k] for k in ("reference", "secondary") if k in field.attrs}
        | {"window": window},
    )


def _variance(moments: "_Moments", sigma: np.ndarray) -> np.ndarray:
    """Mean variance of the cells of each window that know it; NaN where none does."""
    told = np.isfinite(sigma) & (sigma > 0)
    total = moments.mean(np.where(told, sigma, 0.0).astype(float) ** 2)
    share = moments.mean(told.astype(float))
    return np.where(share > 0, total / np.where(share > 0, share, 1), np.nan)


class _Moments:
    """Sums over a window around each cell, for planes ``a + b (x - x0) + c (y - y0)``."""

    def __init__(self, weight: np.ndarray, window: int) -> None:
        self._weight = weight
        self._line = np.arange(window) - window // 2.0
        total, x, y = self._sum(weight), self._sum(weight, x=1), self._sum(weight, y=1)
        xx, xy, yy = (
            self._sum(weight, x=i, y=j) - one * other / np.maximum(total, 1)
            for i, j, one, other in ((2, 0, x, x), (1, 1, x, y), (0, 2, y, y))
        )
        few = total < window**2 / 2
        self._x, self._y, self._total = x, y, np.maximum(total, 1)
        determinant = xx * yy - xy**2
        determinant[few | (determinant <= 0)] = np.nan
        self._xx, self._xy, self._yy = xx / determinant, xy / determinant, yy / determinant

    def _sum(self, plane: np.ndarray, x: int = 0, y: int = 0) -> np.ndarray:
        found = ndimage.correlate1d(plane, self._line**x, axis=1, mode="constant")
        return ndimage.correlate1d(found, self._line**y, axis=0, mode="constant")

    def mean(self, plane: np.ndarray) -> np.ndarray:
        """Mean of what is known."""
        return self._sum(plane * self._weight) / self._total

    def slopes(self, plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Along x and along y, for each cell."""
        mean = self._sum(plane) / self._total
        x = self._sum(plane, x=1) - mean * self._x
        y = self._sum(plane, y=1) - mean * self._y
        return self._yy * x - self._xy * y, self._xx * y - self._xy * x

    def spread(self) -> np.ndarray:
        """Covariance of both slopes for independent errors of unit variance, ``(2, 2, ...)``."""
        return np.array([[self._yy, -self._xy], [-self._xy, self._xx]])
