"""What all pictures have in common: colours, axes, thinning, and how they are written."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from groundshift.errors import OutputError

LARGEST = 1000
"""Cells read along each axis at most."""
INK, FAINT, MISSING = "#1f2328", "#6e7781", "#d8dbe0"
SOFTWARE = "groundshift"
"""What the metadata of a quicklook name as its software."""
COLOURS = {"magnitude": "viridis", "component": "RdBu_r", "sigma": "magma"}

Extent = tuple[float, float, float, float]
"""Left, right, bottom, top in units of the axes."""


def thinned(data: Any) -> Any:
    """Take every so many cells."""
    steps = {name: max(1, -(-data.sizes[name] // LARGEST)) for name in ("y", "x")}
    return data.isel({name: slice(None, None, step) for name, step in steps.items()})


def upright(thin: xr.DataArray, whole: Any, geobox: Any) -> np.ndarray:
    """Return the values with the top of the map in the first row, and its left first."""
    values = np.asarray(thin.values)
    downward = whole["y"].values[-1] > whole["y"].values[0]
    if whole.sizes["y"] > 1 and downward != (geobox.crs is None):
        values = values[::-1]
    if whole["x"].values[-1] < whole["x"].values[0]:
        values = values[:, ::-1]
    return values


def extent_of(data: Any, geobox: Any, factor: float) -> Extent:
    """Return where the outer edges of the cells are, times a factor."""
    x, y = data["x"].values, data["y"].values
    left, right = float(x.min() - half_step(x)), float(x.max() + half_step(x))
    low, high = float(y.min() - half_step(y)), float(y.max() + half_step(y))
    bottom, top = (high, low) if geobox.crs is None else (low, high)
    return left * factor, right * factor, bottom * factor, top * factor


def half_step(places: np.ndarray) -> float:
    """Return half the step between places."""
    return abs(float(places[1] - places[0])) / 2 if places.size > 1 else 0.5


def axis_of(geobox: Any, dataset: xr.Dataset) -> tuple[float, str]:
    """Return the factor and the name of the axes' unit."""
    if geobox.crs is None:
        return 1.0, "px"
    if geobox.crs.geographic:
        return 1.0, "°"
    span = max(float(np.ptp(dataset[name].values)) for name in ("x", "y"))
    return (1e-3, "km") if span > 5000 else (1.0, "m")


def title_of(dataset: xr.Dataset, what: str = "Displacement") -> str:
    """Say what is shown, and between which dates."""
    times = [dataset[name].values for name in ("reference_time", "secondary_time")]
    if np.isnat(times).any():
        return f"{what} from the reference to the secondary image"
    dates = [np.datetime_as_string(time, unit="D") for time in times]
    days = (times[1] - times[0]) / np.timedelta64(1, "D")
    return f"{what} {dates[0]} → {dates[1]} ({days:.4g} days)"


def range_of(values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Return two percentiles, apart from each other."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    first, last = (float(v) for v in np.percentile(known, (low, high)))
    return (first, last) if last > first else (first - 0.5, first + 0.5)


def colourbar(axes: Axes, shown: Any, label: str, *, extend: str) -> None:
    """Draw a bar of the colours alone: the picture itself may be transparent."""
    figure: Any = axes.figure
    colours = ScalarMappable(shown.norm, shown.cmap)
    bar = figure.colorbar(
        colours, ax=axes, orientation="horizontal", shrink=0.72, aspect=36, pad=0.015, extend=extend
    )
    bar.outline.set_visible(False)
    bar.set_label(label, color=FAINT, fontsize=9, labelpad=1)
    bar.ax.tick_params(colors=FAINT, labelsize=8, length=2)
    bar.locator = MaxNLocator(5)
    bar.update_ticks()


def is_quicklook(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a picture that `quicklook` wrote, of whatever field."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the picture of someone else may be huge
            with Image.open(path, formats=["PNG"]) as picture:
                return picture.info.get("Software") == SOFTWARE
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def write_png(figure: Figure, path: Path) -> Path:
    """Write the picture beside its name and rename it, so that no half of it is ever seen."""
    draft = path.with_name(f".{path.name}.part")
    try:
        try:
            metadata = {"Software": SOFTWARE}
            FigureCanvasAgg(figure).print_png(str(draft), metadata=metadata)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; choose another folder"
        ) from error
    return path
