"""A picture of a displacement field that can be read without a legend at hand.

Magnitude is drawn with a perceptually uniform map over the grey reference, components with a
diverging map that is white at zero, sigma with one of another colour, so that no panel can be
mistaken for another. What was not measured is grey or shows the reference. Arrows point the way
the ground went.
"""

import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from groundshift import field
from groundshift.plot.drawing import (
    COLOURS,
    FAINT,
    INK,
    MISSING,
    Extent,
    axis_of,
    colourbar,
    extent_of,
    half_step,
    range_of,
    thinned,
    title_of,
    upright,
    write_png,
)

ARROWS = 22
"""Arrows along the longer axis."""
DX, DY = "#b2570b", "#1b6ca8"
"""Colours of the components in the histogram."""


class _View(NamedTuple):
    """What is drawn: small arrays, the first row at the top of the map."""

    dx: np.ndarray
    dy: np.ndarray
    sigma: np.ndarray
    score: np.ndarray
    share: float
    """Of all cells, that were measured."""
    extent: Extent
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
    figure.suptitle(title or title_of(dataset), color=INK, fontsize=13, fontweight="bold")
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


def _main(axes: Axes, view: _View, backdrop: tuple[np.ndarray, Extent] | None) -> None:
    """Draw the magnitude over the reference, with arrows and their key."""
    magnitude = np.hypot(view.dx, view.dy)
    axes.set_facecolor(MISSING)
    if backdrop is not None:
        pixels, extent = backdrop
        low, high = range_of(pixels, 2, 98)
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
    colourbar(axes, shown, f"displacement ({view.unit})", extend="max")
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
    colourbar(axes, shown, view.unit, extend=extend)
    _frame(axes, view, label, small=True)


def _sigma(axes: Axes, view: _View) -> None:
    label = "1 σ of both components"
    if np.isfinite(view.sigma).any():
        low, high = range_of(view.sigma, 1, 97)
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
    low, high = range_of(everything, 0.5, 99.5)
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
    axis = axis_of(geobox, dataset)
    names = ["dx", "dy", "sigma_dx", "sigma_dy", "score"]
    thin = thinned(dataset[names]).assign(share=field.measured(dataset)).compute()
    planes = {name: upright(thin[name], dataset, geobox).astype(np.float32) for name in names}
    unit = "px" if dataset["dx"].attrs.get("units", "m") == "pixel" else "m"
    # Both components weigh the same.
    sigma = np.sqrt((planes["sigma_dx"] ** 2 + planes["sigma_dy"] ** 2) / 2)
    return _View(
        planes["dx"],
        planes["dy"],
        sigma,
        planes["score"],
        float(thin["share"]),
        extent_of(dataset, geobox, axis[0]),
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
        half = half_step(cells)
        keep = np.flatnonzero((places > cells.min() - half) & (places < cells.max() + half))
        if keep.size == 0:
            return None
        inside = inside.isel({name: slice(int(keep[0]), int(keep[-1]) + 1)})
    pixels = upright(thinned(inside), inside, geobox)
    pixels = np.abs(pixels) if np.iscomplexobj(pixels) else pixels.astype(np.float32)
    if reference.attrs.get("radiometry") in {"complex", "amplitude", "intensity"}:
        # Speckle has a long tail: its logarithm is what the eye can use.
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = np.where(pixels > 0, np.log(pixels), np.nan)
    return pixels, extent_of(inside, geobox, axis_of(geobox, dataset)[0])


def _words(name: str, view: _View) -> str:
    across, along = ("right", "down") if view.down else ("east", "north")
    return f"{name} (+ {across if name == 'dx' else along})"


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


def _nice(value: float) -> float:
    """Round to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(value))
    ratio = value / power
    return float(min((1, 2, 5, 10), key=lambda digit: abs(np.log(digit / ratio))) * power)
