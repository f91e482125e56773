"""A picture of a displacement field that can be read without a legend at hand.

Magnitude is drawn with a perceptually uniform map over the grey reference, components with a
diverging map that is white at zero, sigma with one of another colour, so that no panel can be
mistaken for another. What was not measured is grey or shows the reference. Arrows point the way
the ground went.
"""

import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from groundshift import field, maps
from groundshift.errors import OutputError

LARGEST = 1000
"""Cells read along each axis at most."""
ARROWS = 22
"""Arrows along the longer axis."""
INK, FAINT, MISSING = "#1f2328", "#6e7781", "#d8dbe0"
SOFTWARE = "groundshift"
"""What the metadata of a quicklook name as its software."""
COLOURS = {"magnitude": "viridis", "component": "RdBu_r", "sigma": "magma"}
DX, DY = "#b2570b", "#1b6ca8"
"""Colours of the components in the histogram."""


Extent = tuple[float, float, float, float]


class _View(NamedTuple):
    """What is drawn: small arrays, the first row at the top of the map."""

    dx: np.ndarray
    dy: np.ndarray
    sigma: np.ndarray
    score: np.ndarray
    share: float
    """Of all cells, that were measured."""
    extent: Extent
    """Left, right, bottom, top in units of the axes."""
    axis_unit: str
    unit: str
    down: bool
    """Whether y counts downward."""


def quicklook(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    reference: xr.DataArray | None = None,
    title: str | None = None,
) -> Path:
    """Draw a field as a PNG: displacement over the reference image, components, sigma, histogram.

    Parameters
    ----------
    dataset
        A field. Every so many cells are read, at most 1000 x 1000; a lazy field that has not been
        saved is computed for them.
    reference
        The image underneath, on a grid of the same CRS.
    title
        By default the two dates.
    """
    view = _view(field.check(dataset))
    figure = Figure(figsize=_size(view), dpi=120, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.03)  # pyright: ignore
    figure.suptitle(title or _title(dataset), color=INK, fontsize=13, fontweight="bold")
    axes = figure.subplot_mosaic(
        [["main", "main", "dx", "dy"], ["main", "main", "sigma", "histogram"]],
        width_ratios=[1, 1, 1, 1],
    )
    _main(axes["main"], view, None if reference is None else _backdrop(reference, dataset))
    limit = _limit(np.abs(np.concatenate([view.dx.ravel(), view.dy.ravel()])), 98)
    for name, values in (("dx", view.dx), ("dy", view.dy)):
        _map(axes[name], values, view, _words(name, view), COLOURS["component"], (-limit, limit))
    _sigma(axes["sigma"], view)
    _histogram(axes["histogram"], view)
    return write_png(figure, Path(path))


def coherence_quicklook(dataset: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Draw a map of coherence as a PNG: coherence where it is told from none, and its sigma.

    Parameters
    ----------
    dataset
        Of :mod:`groundshift.maps`; every so many cells are read, at most 1000 x 1000.
    path
        The picture.
    """
    planes = _planes(maps.check(dataset, maps.COHERENCE), maps.COHERENCE)
    told = np.where(planes["valid"] > 0, planes["coherence"], np.nan)
    share = field.percent(1 - float(np.isfinite(told).mean()))
    high = _range(planes["sigma"], 1, 97)[1]
    panels = (
        (told, f"coherence; grey: not told from none, or no data ({share})", "magnitude", 1.0),
        (planes["sigma"], "1 σ", "sigma", high),
    )
    return _pair_of_panels(dataset, "Coherence", panels, path)


def decay_quicklook(dataset: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Draw a map of decay as a PNG: the coherence that stays, and the time of the remainder.

    Parameters
    ----------
    dataset
        Of :mod:`groundshift.maps`; every so many cells are read, at most 1000 x 1000.
    path
        The picture.
    """
    planes = _planes(maps.check(dataset, maps.DECAY), maps.DECAY)
    high = _range(planes["tau"], 1, 95)[1]
    panels = (
        (planes["rest"], "coherence that stays", "magnitude", 1.0),
        (planes["tau"], "time in which the remainder falls to 1/e (days)", "sigma", high),
    )
    return _pair_of_panels(dataset, "Decay of coherence", panels, path)


def _planes(dataset: xr.Dataset, kind: maps.Kind) -> dict[str, np.ndarray]:
    """Every so many cells of a map, upright."""
    geobox = field.geobox_of(dataset)
    thin = _thinned(dataset[list(kind.attrs)]).compute()
    return {name: _upright(thin[name], dataset, geobox) for name in kind.attrs}


def _pair_of_panels(
    dataset: xr.Dataset,
    title: str,
    panels: Iterable[tuple[np.ndarray, str, str, float]],
    path: str | os.PathLike[str],
) -> Path:
    """Draw two maps side by side: values from 0, their title, colours, and the highest."""
    geobox = field.geobox_of(dataset)
    factor, unit = _axis(geobox, dataset)
    extent = _extent(dataset, geobox, factor)
    figure = Figure(figsize=(14.0, 7.6), dpi=120, layout="constrained")
    figure.suptitle(_title(dataset, title), color=INK, fontsize=13, fontweight="bold")
    for axes, (values, label, colours, limit) in zip(figure.subplots(1, 2), panels, strict=True):
        axes.set_facecolor(MISSING)
        shown = axes.imshow(
            values,
            cmap=COLOURS[colours],
            vmin=0,
            vmax=limit,
            extent=extent,
            interpolation="nearest",
        )
        _colourbar(axes, shown, "", extend="neither" if limit == 1 else "max")
        axes.set_title(label, fontsize=11, color=INK, loc="left")
        axes.spines[:].set_visible(False)
        axes.tick_params(colors=FAINT, labelsize=8, length=3)
        axes.set_xlabel(f"x ({unit})", color=FAINT, fontsize=9, labelpad=1)
        axes.ticklabel_format(useOffset=False, style="plain")
    return write_png(figure, Path(path))


def is_quicklook(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a picture that `quicklook` wrote, of whatever field."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the picture of someone else may be huge
            with Image.open(path, formats=["PNG"]) as picture:
                return picture.info.get("Software") == SOFTWARE
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


# -- panels ------------------------------------------------------------------------------------


def _main(axes: Axes, view: _View, backdrop: tuple[np.ndarray, Extent] | None) -> None:
    """Draw the magnitude over the reference, with arrows and their key."""
    magnitude = np.hypot(view.dx, view.dy)
    axes.set_facecolor(MISSING)
    if backdrop is not None:
        pixels, extent = backdrop
        low, high = _range(pixels, 2, 98)
        axes.imshow(pixels, cmap="gray", vmin=low, vmax=high, extent=extent, aspect="equal")
    top = _limit(magnitude, 98)
    shown = axes.imshow(
        np.ma.masked_invalid(magnitude),
        cmap=COLOURS["magnitude"],
        vmin=0,
        vmax=top,
        extent=view.extent,
        alpha=0.62 if backdrop is not None else 1.0,
        interpolation="nearest",
    )
    _colourbar(axes, shown, f"displacement ({view.unit})", extend="max")
    _arrows(axes, view, magnitude)
    _frame(axes, view, "displacement" + (" over the reference" if backdrop is not None else ""))
    axes.set_xlim(view.extent[:2])
    axes.set_ylim(view.extent[2:])


def _arrows(axes: Axes, view: _View, magnitude: np.ndarray) -> None:
    """Draw medians of square groups of cells, so that an arrow stands for its surroundings."""
    size = max(1, -(-max(magnitude.shape) // ARROWS))
    dx, dy = (_grouped(plane, size) for plane in (view.dx, view.dy))
    left, right, bottom, top = view.extent
    rows, columns = magnitude.shape
    x = left + (np.arange(dx.shape[1]) + 0.5) * size * (right - left) / columns
    y = top + (np.arange(dx.shape[0]) + 0.5) * size * (bottom - top) / rows
    grid_x, grid_y = np.meshgrid(x, y)
    good = np.isfinite(dx) & np.isfinite(dy)
    typical = _nice(_limit(np.hypot(dx, dy), 90))
    if not good.any():
        return
    # One typical arrow is as long as the arrows are apart.
    apart = size * abs(right - left) / columns
    arrows = axes.quiver(
        grid_x[good],
        grid_y[good],
        dx[good],
        dy[good],
        angles="xy",
        scale_units="xy",
        scale=typical / apart,
        width=0.0032,
        headwidth=3.6,
        headlength=4.2,
        headaxislength=3.8,
        color="white",
        edgecolor=INK,
        linewidth=0.45,
        pivot="tail",
    )
    # Above the map, where nothing is behind it.
    axes.quiverkey(
        arrows,
        0.88,
        1.025,
        typical,
        f"{typical:g} {view.unit}",
        labelpos="E",
        color=INK,
        labelcolor=INK,
        fontproperties={"size": 9},
    )


def _map(
    axes: Axes,
    values: np.ndarray,
    view: _View,
    label: str,
    colours: str,
    limits: tuple[float, float],
) -> None:
    axes.set_facecolor(MISSING)
    shown = axes.imshow(
        np.ma.masked_invalid(values),
        cmap=colours,
        vmin=limits[0],
        vmax=limits[1],
        extent=view.extent,
        interpolation="nearest",
    )
    extend = "both" if limits[0] < 0 else "max"
    _colourbar(axes, shown, view.unit, extend=extend)
    _frame(axes, view, label, small=True)


def _sigma(axes: Axes, view: _View) -> None:
    label = "1 σ of both components"
    if np.isfinite(view.sigma).any():
        low, high = _range(view.sigma, 1, 97)
        _map(axes, view.sigma, view, label, COLOURS["sigma"], (max(0.0, low), high))
    else:
        _map(axes, view.score, view, "score (no σ from this matcher)", COLOURS["sigma"], (0, 1))


def _histogram(axes: Axes, view: _View) -> None:
    planes = {"dx": (view.dx, DX), "dy": (view.dy, DY)}
    known = {name: plane[np.isfinite(plane)] for name, (plane, _) in planes.items()}
    everything = np.concatenate(list(known.values()))
    axes.set_title("distribution", fontsize=10, color=INK, loc="left")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_yticks([])
    axes.tick_params(colors=FAINT, labelsize=8)
    axes.set_xlabel(view.unit, color=FAINT, fontsize=9)
    if everything.size == 0:
        axes.text(0.5, 0.5, "nothing measured", transform=axes.transAxes, ha="center", color=FAINT)
        return
    low, high = _range(everything, 0.5, 99.5)
    bins: Any = np.linspace(low, high, 81)
    for name, (_, colour) in planes.items():
        median = float(np.median(known[name]))
        axes.hist(known[name], bins, color=colour, alpha=0.28, histtype="stepfilled")  # pyright: ignore
        axes.hist(
            known[name],
            bins,
            color=colour,
            histtype="step",
            linewidth=1.3,
            label=f"{name}: median {median:+.3g} {view.unit}",
        )  # pyright: ignore
    axes.axvline(0, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    legend = axes.legend(
        fontsize=8,
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(0, 1.0),
        title=f"{field.percent(view.share)} of cells measured",
        title_fontsize=8,
    )
    legend.get_title().set_color(FAINT)
    legend._legend_box.align = "left"  # pyright: ignore
    axes.set_ylim(0, axes.get_ylim()[1] * 1.45)


# -- what is common ------------------------------------------------------------------------------


def _colourbar(axes: Axes, shown: Any, label: str, *, extend: str) -> None:
    figure: Any = axes.figure
    # Of the colours alone: the picture may be transparent.
    colours = ScalarMappable(shown.norm, shown.cmap)
    bar = figure.colorbar(
        colours, ax=axes, orientation="horizontal", shrink=0.72, aspect=36, pad=0.015, extend=extend
    )
    bar.outline.set_visible(False)
    bar.set_label(label, color=FAINT, fontsize=9, labelpad=1)
    bar.ax.tick_params(colors=FAINT, labelsize=8, length=2)
    bar.locator = MaxNLocator(5)
    bar.update_ticks()


def _frame(axes: Axes, view: _View, label: str, *, small: bool = False) -> None:
    axes.set_title(label, fontsize=10 if small else 11, color=INK, loc="left")
    axes.spines[:].set_visible(False)
    if small:
        axes.set_xticks([])
        axes.set_yticks([])
        return
    axes.tick_params(colors=FAINT, labelsize=8, length=3)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(f"x ({view.axis_unit})", color=FAINT, fontsize=9, labelpad=1)
    axes.set_ylabel(f"y ({view.axis_unit})", color=FAINT, fontsize=9, labelpad=1)
    axes.ticklabel_format(useOffset=False, style="plain")


def _view(dataset: xr.Dataset) -> _View:
    geobox = field.geobox_of(dataset)
    axis = _axis(geobox, dataset)
    names = ["dx", "dy", "sigma_dx", "sigma_dy", "score"]
    thin = _thinned(dataset[names]).assign(share=field.measured(dataset)).compute()
    planes = {name: _upright(thin[name], dataset, geobox).astype(np.float32) for name in names}
    unit = "px" if dataset["dx"].attrs.get("units", "m") == "pixel" else "m"
    # Both components weigh the same.
    sigma = np.sqrt((planes["sigma_dx"] ** 2 + planes["sigma_dy"] ** 2) / 2)
    return _View(
        planes["dx"],
        planes["dy"],
        sigma,
        planes["score"],
        float(thin["share"]),
        _extent(dataset, geobox, axis[0]),
        axis[1],
        unit,
        geobox.crs is None,
    )


def _backdrop(reference: xr.DataArray, dataset: xr.Dataset) -> tuple[np.ndarray, Extent] | None:
    """Return the thinned reference and its extent; nothing where it is on another CRS."""
    geobox = field.geobox_of(dataset)
    if reference.odc.crs != geobox.crs:
        return None
    inside = reference
    for name in ("x", "y"):
        places, cells = reference[name].values, dataset[name].values
        half = _half(cells)
        keep = np.flatnonzero((places > cells.min() - half) & (places < cells.max() + half))
        if keep.size == 0:
            return None
        inside = inside.isel({name: slice(int(keep[0]), int(keep[-1]) + 1)})
    pixels = _upright(_thinned(inside), inside, geobox)
    pixels = np.abs(pixels) if np.iscomplexobj(pixels) else pixels.astype(np.float32)
    if reference.attrs.get("radiometry") in {"complex", "amplitude", "intensity"}:
        # Speckle has a long tail: its logarithm is what the eye can use.
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = np.where(pixels > 0, np.log(pixels), np.nan)
    return pixels, _extent(inside, geobox, _axis(geobox, dataset)[0])


def _thinned(data: Any) -> Any:
    steps = {name: max(1, -(-data.sizes[name] // LARGEST)) for name in ("y", "x")}
    return data.isel({name: slice(None, None, step) for name, step in steps.items()})


def _upright(thin: xr.DataArray, whole: Any, geobox: Any) -> np.ndarray:
    """Return the values with the top of the map in the first row, and its left first."""
    values = np.asarray(thin.values)
    downward = whole["y"].values[-1] > whole["y"].values[0]
    if whole.sizes["y"] > 1 and downward != (geobox.crs is None):
        values = values[::-1]
    if whole["x"].values[-1] < whole["x"].values[0]:
        values = values[:, ::-1]
    return values


def _extent(data: Any, geobox: Any, factor: float) -> Extent:
    x, y = data["x"].values, data["y"].values
    left, right = float(x.min() - _half(x)), float(x.max() + _half(x))
    low, high = float(y.min() - _half(y)), float(y.max() + _half(y))
    bottom, top = (high, low) if geobox.crs is None else (low, high)
    return left * factor, right * factor, bottom * factor, top * factor


def _half(places: np.ndarray) -> float:
    return abs(float(places[1] - places[0])) / 2 if places.size > 1 else 0.5


def _axis(geobox: Any, dataset: xr.Dataset) -> tuple[float, str]:
    """Return the factor and the name of the axes' unit."""
    if geobox.crs is None:
        return 1.0, "px"
    if geobox.crs.geographic:
        return 1.0, "°"
    span = max(float(np.ptp(dataset[name].values)) for name in ("x", "y"))
    return (1e-3, "km") if span > 5000 else (1.0, "m")


def _words(name: str, view: _View) -> str:
    across, along = ("right", "down") if view.down else ("east", "north")
    return f"{name} (+ {across if name == 'dx' else along})"


def _title(dataset: xr.Dataset, what: str = "Displacement") -> str:
    times = [dataset[name].values for name in ("reference_time", "secondary_time")]
    if np.isnat(times).any():
        return f"{what} from the reference to the secondary image"
    dates = [np.datetime_as_string(time, unit="D") for time in times]
    days = (times[1] - times[0]) / np.timedelta64(1, "D")
    return f"{what} {dates[0]} → {dates[1]} ({days:.4g} days)"


def _size(view: _View) -> tuple[float, float]:
    """Inches: panels keep the shape of the map, within reason."""
    left, right, bottom, top = view.extent
    ratio = float(np.clip(abs(top - bottom) / max(abs(right - left), 1e-9), 0.45, 1.8))
    width = 14.0
    return width, 7.0 * 0.88 * ratio + 1.7


def _grouped(plane: np.ndarray, size: int) -> np.ndarray:
    """Return medians of groups of cells; unknown where fewer than a third is known."""
    rows, columns = (-(-n // size) for n in plane.shape)
    padded = np.full((rows * size, columns * size), np.nan, np.float32)
    padded[: plane.shape[0], : plane.shape[1]] = plane
    groups = padded.reshape(rows, size, columns, size).swapaxes(1, 2).reshape(rows, columns, -1)
    known = np.isfinite(groups).mean(-1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        medians = np.nanmedian(groups, -1)
    return np.where(known > 1 / 3, medians, np.nan)


def _limit(values: np.ndarray, percent: float) -> float:
    known = values[np.isfinite(values)]
    limit = float(np.percentile(known, percent)) if known.size else 0.0
    return limit if limit > 0 else 1.0


def _range(values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    first, last = (float(v) for v in np.percentile(known, (low, high)))
    return (first, last) if last > first else (first - 0.5, first + 0.5)


def _nice(value: float) -> float:
    """Round to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(value))
    ratio = value / power
    return float(min((1, 2, 5, 10), key=lambda digit: abs(np.log(digit / ratio))) * power)


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
