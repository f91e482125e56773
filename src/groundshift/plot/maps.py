"""Pictures of two maps side by side: coherence, how it decays, and how far the ground went."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from groundshift import field, maps, timeseries
from groundshift.plot.drawing import (
    COLOURS,
    FAINT,
    INK,
    MISSING,
    axis_of,
    colourbar,
    extent_of,
    range_of,
    thinned,
    title_of,
    upright,
    write_png,
)

WIDTH = 14.0
"""Inches."""


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
    high = range_of(planes["sigma"], 1, 97)[1]
    panels = (
        (told, f"coherence; grey: not told from none, or no data ({share})", "magnitude", 1.0),
        (planes["sigma"], "1 σ", "sigma", high),
    )
    return _pair_of_panels(dataset, title_of(dataset, "Coherence"), panels, path)


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
    high = range_of(planes["tau"], 1, 95)[1]
    panels = (
        (planes["rest"], "coherence that stays", "magnitude", 1.0),
        (planes["tau"], "time in which the remainder falls to 1/e (days)", "sigma", high),
    )
    return _pair_of_panels(dataset, title_of(dataset, "Decay of coherence"), panels, path)


def fit_quicklook(dataset: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Draw fitted motion as a PNG: the last number that was fitted, and its sigma.

    Parameters
    ----------
    dataset
        Of :data:`groundshift.maps.FIT`; every so many cells are read, at most 1000 x 1000.
    path
        The picture.
    """
    maps.check(dataset, maps.FIT)
    name = [n[:-2] for n in map(str, dataset.data_vars) if n.endswith("_x") and "sigma" not in n][
        -1
    ]
    geobox = field.geobox_of(dataset)
    parts = [f"{sigma}{name}_{axis}" for sigma in ("", "sigma_") for axis in "xy"]
    thin = thinned(dataset[parts]).compute()
    x, y, sigma_x, sigma_y = (upright(thin[part], dataset, geobox) for part in parts)
    size, sigma = np.hypot(x, y), np.hypot(sigma_x, sigma_y) / np.sqrt(2)
    unit = dataset[parts[0]].attrs["units"].replace("pixel", "px").replace(" year-1", " per year")
    panels = (
        (size, f"{name} ({unit})", "magnitude", range_of(size, 1, 98)[1]),
        (sigma, f"1 σ of each component ({unit})", "sigma", range_of(sigma, 1, 97)[1]),
    )
    return _pair_of_panels(dataset, title_of(dataset, "Motion"), panels, path)


def series_quicklook(dataset: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Draw a history as a PNG: how far the ground went from the first date to the last, and sigma.

    Parameters
    ----------
    dataset
        Of :mod:`groundshift.timeseries`; every so many cells are read, at most 1000 x 1000.
    path
        The picture.
    """
    timeseries.check_series(dataset)
    geobox = field.geobox_of(dataset)
    ends = dataset[list(timeseries.MOVING)].isel(time=[0, -1])
    thin = thinned(ends).compute()
    went = thin.isel(time=1) - thin.isel(time=0)
    moved = upright(np.hypot(went.dx, went.dy), dataset, geobox)
    # Of both dates, one of which is usually the reference, whose sigma is 0.
    both = (thin[["sigma_dx", "sigma_dy"]] ** 2).sum("time", skipna=False)
    sigma = upright(np.sqrt((both.sigma_dx + both.sigma_dy) / 2), dataset, geobox)
    days = [np.datetime_as_string(time, unit="D") for time in dataset["time"].values[[0, -1]]]
    unit = "px" if dataset["dx"].attrs["units"] == "pixel" else "m"
    panels = (
        (moved, f"displacement ({unit})", "magnitude", range_of(moved, 1, 98)[1]),
        (sigma, f"1 σ of each component ({unit})", "sigma", range_of(sigma, 1, 97)[1]),
    )
    title = f"Displacement {days[0]} → {days[1]}, from {dataset.sizes['time']} dates"
    return _pair_of_panels(dataset, title, panels, path)


def _planes(dataset: xr.Dataset, kind: maps.Kind) -> dict[str, np.ndarray]:
    """Every so many cells of a map, upright."""
    geobox = field.geobox_of(dataset)
    thin = thinned(dataset[list(kind.attrs)]).compute()
    return {name: upright(thin[name], dataset, geobox) for name in kind.attrs}


def _pair_of_panels(
    dataset: xr.Dataset,
    title: str,
    panels: Iterable[tuple[np.ndarray, str, str, float]],
    path: str | os.PathLike[str],
) -> Path:
    """Draw two maps side by side: values from 0, their title, colours, and the highest."""
    geobox = field.geobox_of(dataset)
    factor, unit = axis_of(geobox, dataset)
    extent = extent_of(dataset, geobox, factor)
    left, right, bottom, top = extent
    shape = float(np.clip(abs(top - bottom) / max(abs(right - left), 1e-9), 0.3, 1.2))
    figure = Figure(figsize=(WIDTH, WIDTH / 2 * shape + 1.7), dpi=120, layout="constrained")
    figure.suptitle(title, color=INK, fontsize=13, fontweight="bold")
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
        colourbar(axes, shown, "", extend="neither" if limit == 1 else "max")
        axes.set_title(label, fontsize=11, color=INK, loc="left")
        axes.spines[:].set_visible(False)
        axes.tick_params(colors=FAINT, labelsize=8, length=3)
        axes.set_xlabel(f"x ({unit})", color=FAINT, fontsize=9, labelpad=1)
        axes.ticklabel_format(useOffset=False, style="plain")
    return write_png(figure, Path(path))
