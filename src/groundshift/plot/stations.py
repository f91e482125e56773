"""Pictures of a series beside the instruments on the ground."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from groundshift.plot.drawing import FAINT, INK, write_png
from groundshift.stations import Agreement

COLUMNS, MOST = 2, 24
"""Panels side by side, and in all."""


def stations_quicklook(found: Sequence[Agreement], path: str | os.PathLike[str]) -> Path:
    """Draw a panel for each station and component: the series with its interval, and the station.

    Parameters
    ----------
    found
        Of :func:`groundshift.stations.compare`; the first 24.
    path
        The picture.
    """
    shown = list(found)[:MOST]
    rows = -(-len(shown) // COLUMNS)
    figure = Figure(figsize=(12, 2.4 * rows + 0.7), dpi=110, layout="constrained")
    figure.suptitle("Series and stations, each around its mean", color=INK, fontsize=13)
    panels = np.atleast_1d(figure.subplots(rows, min(COLUMNS, len(shown)))).ravel()
    for axes, one in zip(panels, shown, strict=False):
        axes.errorbar(
            one.times, one.series, 1.96 * one.sigma, fmt="o", ms=4, color="#c2410c", lw=1,
            label="series, 95 %",
        )  # fmt: skip
        axes.plot(one.times, one.measured, ".-", color="#1d4ed8", lw=1, label="station")
        axes.set_title(
            f"{one.station}, {one.component}: RMSE {one.rmse:.3g} m",
            fontsize=10,
            color=INK,
            loc="left",
        )
        axes.set_ylabel("m", color=FAINT, fontsize=9)
        axes.tick_params(colors=FAINT, labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    panels[0].legend(fontsize=8, frameon=False)
    return write_png(figure, Path(path))
