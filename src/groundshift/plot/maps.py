"""Pictures of coherence and of how it decays."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from groundshift import field, maps
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
    high = range_of(planes["tau"], 1, 95)[1]
    panels = (
        (planes["rest"], "coherence that stays", "magnitude", 1.0),
        (planes["tau"], "time in which the remainder falls to 1/e (days)", "sigma", high),
    )
    return _pair_of_panels(dataset, "Decay of coherence", panels, path)


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
    figure = Figure(figsize=(14.0, 7.6), dpi=120, layout="constrained")
    figure.suptitle(title_of(dataset, title), color=INK, fontsize=13, fontweight="bold")
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
