"""Real pairs: known displacement, none, and glaciers of which only the rough motion is known."""

import os
import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

import groundshift
from benchmarks.report import Plot, Table, Value
from groundshift.benchmark.real import KNOWN, MARGIN, real
from groundshift.matchers import NCC, default
from groundshift.matchers.whole import match_whole
from groundshift.nets.refine import learned
from groundshift.nets.weights import STANDARD
from groundshift.types import Matcher

FOLDER = Path(os.environ.get("GROUNDSHIFT_PAIRS", "../shared/data/pairs"))
LEARNED = "learned, stride 4"
MATCHERS: dict[str, Matcher] = {
    LEARNED: learned(STANDARD, stride=4),
    "default": default(),
    "NCC 64, stride 8": NCC(window=64, search=32, stride=8),
}
MORENO = "glacier_perito_moreno_s2"
GREENLAND = "glacier_frontlearning_landsat"
ICE = {
    "Perito Moreno S2, 2020-02-07 to 02-27": (
        f"{MORENO}/20200207.jpg",
        f"{MORENO}/20200227.jpg",
    ),
    "Perito Moreno S2, 2020-02-20 to 02-27": (
        f"{MORENO}/20200220.jpg",
        f"{MORENO}/20200227.jpg",
    ),
}
OUTLETS = {
    "Landsat 5, 009011, 1994-08-29 to 09-14": (
        f"{GREENLAND}/LT05_L1TP_009011_19940829_20170113_01_T1_B2_Subset.png",
        f"{GREENLAND}/LT05_L1TP_009011_19940914_20170112_01_T1_B2_Subset.png",
    ),
    "Landsat 7, 008011, 2000-03-23 to 04-24": (
        f"{GREENLAND}/LE07_L1TP_008011_20000323_20170212_01_T1_B2_Subset.png",
        f"{GREENLAND}/LE07_L1TP_008011_20000424_20170212_01_T1_B2_Subset.png",
    ),
}
ROCK, FLOW = 40, slice(80, 120)
"""Columns of the chips of outlets that show rock on either side, and the glacier, pixels."""
AROUND = 1.0
"""Pixels from the median of the neighbours beyond which a value is out of line."""

TITLE = "Real pairs"
TEXT = f"""Images are read from `GROUNDSHIFT_PAIRS` (default `{FOLDER}`) and are no part of the
package. Known pairs: {MARGIN} px along each side are left out; bias is the mean error (dy, dx),
"within" the share of components whose error is below one and 1.96 sigma. Rain forest from
Sentinel-1 on four dates, a city from Landsat after two years, and an X-band pair did not move;
chips of Sentinel-2 were shifted by CNES. Perito Moreno: moving ice is what is faster than 1 px;
"out of line" are cells more than {AROUND:.0f} px from the median of the 24 around them, "from the
default" the larger component of the median difference elsewhere. Greenland:
median displacement (dy, dx) of the first and last {ROCK} columns (rock) and of columns {FLOW.start}
to {FLOW.stop} (ice), over 16 and 32 days; the scenes are co-registered to a few tenths of a pixel
only."""


def _known() -> Table:
    rows: list[list[Value]] = []
    for case in real(FOLDER):
        pair = case.pair("test", 0)
        for name, matcher in MATCHERS.items():
            found = match_whole(matcher, pair.reference, pair.secondary)
            edge = -(-MARGIN // matcher.stride)
            inner = (slice(edge, -edge), slice(edge, -edge))
            dy, dx = ((found[i] - (case.dy, case.dx)[i])[inner].numpy() for i in (0, 1))
            error = np.abs([dy, dx])
            ratio = error / np.stack([plane[inner].numpy() for plane in found[2:4]])
            ratio = ratio[np.isfinite(ratio)]
            rows.append(
                [
                    case.column,
                    name,
                    float(np.nanmean(dy)),
                    float(np.nanmean(dx)),
                    float(np.nanmean(error)),
                    float(np.nanquantile(error, 0.95)),
                    max(_nmad(dy), _nmad(dx)),
                    float((ratio <= 1).mean()),
                    float((ratio <= 1.96).mean()),
                    float(np.isfinite(dy).mean()),
                ]
            )
    columns = ("pair", "matcher", "bias dy", "bias dx", "MAE px", "P95 px", "NMAD px")
    return Table("Known pairs", (*columns, "within 1", "within 1.96", "measured"), rows)


def _nmad(values: np.ndarray) -> float:
    """Deviation that the median absolute deviation stands for."""
    known = values[np.isfinite(values)]
    return 1.4826 * float(np.median(np.abs(known - np.median(known))))


def _tracked(files: tuple[str, str], band: str | None, matcher: Matcher) -> np.ndarray:
    images = [groundshift.open_image(FOLDER / file, band=band) for file in files]
    found = groundshift.track(*images, matcher=matcher).compute()
    # Without georeferencing: pixels, dx to the right, dy downward.
    return np.stack([found["dy"].values, found["dx"].values])


def _ice() -> Table:
    rows: list[list[Value]] = []
    speeds: dict[str, dict[str, np.ndarray]] = {}
    for title, files in ICE.items():
        motions = {name: _tracked(files, "green", m) for name, m in MATCHERS.items()}
        usual = motions["default"]
        for name, motion in motions.items():
            speed = np.hypot(*motion)
            moving = speed[speed > 1]
            quantiles = [float(v) for v in np.quantile(moving, (0.5, 0.9, 0.95))]
            off = float(_out_of_line(motion)[np.isfinite(speed)].mean())
            other: Value = None
            if motion.shape == usual.shape:
                good = ~(_out_of_line(motion) | _out_of_line(usual))
                other = float(np.abs(np.nanmedian((motion - usual)[:, good], axis=1)).max())
            rows.append([title, name, *quantiles, int(np.isfinite(speed).sum()), off, other])
        speeds[title] = {name: np.hypot(*motion) for name, motion in motions.items()}
    columns = ("pair", "matcher", "p50 px", "p90 px", "p95 px", "cells", "out of line")
    plot = Plot("moreno", _maps(speeds), "Speed of Perito Moreno")
    return Table("Perito Moreno", (*columns, "from the default"), rows, plot=plot)


def _maps(speeds: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Draw the speeds side by side, a row for each pair."""
    drawn = Figure(figsize=(4 * len(MATCHERS), 3.6 * len(speeds)), layout="constrained")
    panels = drawn.subplots(len(speeds), len(MATCHERS), squeeze=False)
    for line, (title, found) in zip(panels, speeds.items(), strict=True):
        limit = float(np.nanquantile(found["default"], 0.995))
        for panel, (name, speed) in zip(line, found.items(), strict=True):
            shown = panel.imshow(speed, vmin=0, vmax=limit, cmap="viridis", interpolation="none")
            panel.set_title(f"{title}\n{name}", fontsize=8)
            panel.set_axis_off()
        drawn.colorbar(shown, ax=line, label="px", shrink=0.8)
    return drawn


def _out_of_line(motion: np.ndarray) -> np.ndarray:
    wide = torch.nn.functional.pad(torch.from_numpy(motion), (2,) * 4, value=torch.nan)
    around = wide.unfold(1, 5, 1).unfold(2, 5, 1).flatten(3).nanmedian(-1).values.numpy()
    return np.hypot(*(motion - around)) > AROUND


def _outlets() -> Table:
    rows: list[list[Value]] = []
    for title, files in OUTLETS.items():
        for name, matcher in MATCHERS.items():
            motion = _tracked(files, None, matcher)
            cells = ROCK // matcher.stride
            ice = slice(FLOW.start // matcher.stride, FLOW.stop // matcher.stride)
            parts = (motion[..., :cells], motion[..., -cells:], motion[..., ice])
            medians = [f"({_median(part[0])}, {_median(part[1])})" for part in parts]
            rows.append([title, name, *medians, float(np.isfinite(motion[0]).mean())])
    columns = ("pair", "matcher", "rock left px", "rock right px", "ice px", "measured")
    return Table("Outlet glaciers of Greenland", columns, rows)


def _median(values: np.ndarray) -> str:
    return f"{np.nanmedian(values):+.2f}"


def tables() -> list[Table]:
    """Measure what is there."""
    found = [_known()] if len(real(FOLDER)) == len(KNOWN) else []
    for needed, make in ((ICE, _ice), (OUTLETS, _outlets)):
        files = [FOLDER / file for pair in needed.values() for file in pair]
        found += [make()] if all(file.exists() for file in files) else []
    if len(found) < 3:
        sys.exit(f"{FOLDER} lacks some of the pairs; set GROUNDSHIFT_PAIRS to their folder")
    return found
