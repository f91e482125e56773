"""A picture of synthetic samples: what was drawn, and whether it looks as it should."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from groundshift.plot import write_png

LARGEST = 320
"""Pixels drawn of each side."""
ARROWS = 9
"""Along each side."""
BESIDE = 2
"""Samples in a row."""
INK, FAINT, INVALID = "#1f2328", "#6e7781", "#d8dbe0"
PANELS = ("reference", "secondary", "displacement", "coherence")


def gallery(
    items: Sequence[Mapping[str, Tensor]],
    path: str | os.PathLike[str],
    *,
    families: Sequence[str],
    sensors: Sequence[str],
    title: str = "",
) -> Path:
    """Draw a PNG: images, displacement and coherence of each sample, with their scales.

    Parameters
    ----------
    items
        As streams and stores have them (:mod:`groundshift.synth.stream`).
    path
        Of the picture.
    families, sensors
        Names of what the items number.
    title
        Above all.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    rows = -(-len(items) // BESIDE)
    figure = Figure(figsize=(7.2 * BESIDE, 2.12 * rows + 0.5), dpi=110, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.05, wspace=0.0, hspace=0.02)  # pyright: ignore
    figure.suptitle(title, color=INK, fontsize=13, fontweight="bold")
    for k, part in enumerate(figure.subfigures(rows, BESIDE, squeeze=False, wspace=0.02).flat):
        if k < len(items):
            _sample(part, items[k], families, sensors)
    return write_png(figure, Path(path))


def varied(family: Sequence[int], sensor: Sequence[int], count: int) -> list[int]:
    """Choose samples to show, as positions in order: as many kinds as there are, then others."""
    kinds = list(zip(family, sensor, strict=True))
    first = {kind: kinds.index(kind) for kind in dict.fromkeys(kinds)}
    others = [k for k in range(len(kinds)) if k not in first.values()]
    return sorted([*first.values(), *others][:count])


def _sample(
    part: Any, item: Mapping[str, Tensor], families: Sequence[str], sensors: Sequence[str]
) -> None:
    step = max(1, -(-item["reference"].shape[-1] // LARGEST))
    plane = {
        name: value[..., ::step, ::step].cpu().numpy()
        for name, value in item.items()
        if value.ndim >= 2
    }
    sensor = sensors[int(item["sensor"])]
    axes: Sequence[Axes] = part.subplots(1, len(PANELS))
    for one in axes:
        one.set_xticks([])
        one.set_yticks([])
        one.spines[:].set(color=INVALID, linewidth=0.5)
    _images(axes[0], axes[1], plane["reference"], plane["secondary"], radar=sensor == "radar")
    _displacement(axes[2], plane["motion"], plane["valid"])
    if sensor == "radar":
        shown, label = plane["coherence"], f"coherence, mean {np.nanmean(plane['coherence']):.2f}"
    else:
        shown, label = plane["valid"].astype(float), f"valid {plane['valid'].mean():.0%}"
    axes[3].imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    for one, text in zip(axes[:2], ("reference", "secondary"), strict=True):
        _label(one, text)
    _label(axes[3], label)
    size, number = item["reference"].shape[-1], int(item["index"])
    part.suptitle(
        f"{families[int(item['family'])]}, {sensor}    #{number}, {size} px",
        color=INK,
        fontsize=10,
        x=0.01,
        ha="left",
    )


def _images(
    first: Axes, second: Axes, reference: np.ndarray, secondary: np.ndarray, *, radar: bool
) -> None:
    """Draw both dates on one scale; amplitude of speckle by its logarithm."""
    pair = np.stack([reference, secondary])
    if radar:
        pair = np.log(np.maximum(pair, 1e-3 * max(float(pair.mean()), 1e-9)))
    low, high = np.percentile(pair, (1, 99))
    for axes, image in zip((first, second), pair, strict=True):
        axes.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")


def _displacement(axes: Axes, motion: np.ndarray, valid: np.ndarray) -> None:
    """Draw the length by colour and the way by arrows; what is not valid is grey."""
    dy, dx = motion
    length = np.where(valid, np.hypot(dy, dx), np.nan)
    top = float(np.nanmax(length)) if valid.any() else 0.0
    axes.set_facecolor(INVALID)
    axes.imshow(
        length, cmap="viridis", vmin=0, vmax=top or 1, interpolation="nearest", extent=_extent(dy)
    )
    _label(axes, f"displacement 0 to {top:.3g} px" if top else "no displacement")
    if not top:
        return
    rows, columns = dy.shape
    y, x = np.meshgrid(
        *((np.arange(ARROWS) + 0.5) * n / ARROWS for n in (rows, columns)), indexing="ij"
    )
    at = y.astype(int), x.astype(int)
    axes.quiver(
        x,
        y,
        dx[at],
        dy[at],
        angles="xy",
        scale_units="xy",
        scale=top * ARROWS / columns,
        width=0.008,
        color="white",
        edgecolor=INK,
        linewidth=0.3,
    )
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)


def _extent(plane: np.ndarray) -> tuple[float, float, float, float]:
    return 0, plane.shape[1], plane.shape[0], 0


def _label(axes: Axes, text: str) -> None:
    axes.set_xlabel(text, color=FAINT, fontsize=8, labelpad=2)
