"""What the demo prints: errors against the exact truth of a synthetic pair."""

import numpy as np
import xarray as xr

from groundshift import synth
from groundshift.cli.lines import share

ABSOLUTE = 0.798
"""Mean absolute error of a Gaussian of unit standard deviation."""


def errors(measured: xr.Dataset, sample: synth.Sample, coherence: float) -> list[str]:
    """Compare with the exact truth of a synthetic pair, and with what physics allows."""
    stride = int(measured.attrs["stride"])
    wrong = np.stack(
        [
            measured[name].values - _cell_means(truth.numpy(), stride, measured[name].shape)
            for name, truth in (("dx", sample.dx), ("dy", sample.dy))
        ]
    )
    known = wrong[np.isfinite(wrong)]
    if known.size == 0:
        return ["true error  nothing was measured"]
    bias = [float(np.nanmean(component)) for component in wrong]
    lines = [
        f"true error  mean {np.abs(known).mean():.4f} px, 95th percentile "
        f"{np.percentile(np.abs(known), 95):.4f} px, bias dx {bias[0]:+.4f}, dy {bias[1]:+.4f}, "
        f"at {share(wrong)} of the cells",
    ]
    limits = ", ".join(
        f"{ABSOLUTE * _limit(coherence, window, sample.bandwidth):.4f} px in a {window}-px window"
        for window in (16, 32, 64)
    )
    return [*lines, f"the limit   mean {limits} (incoherent speckle tracking)"]


def _limit(coherence: float, window: int, bandwidth: float) -> float:
    """Return the least standard deviation, pixels."""
    return synth.tracking_limit(coherence, (window * bandwidth) ** 2) / bandwidth


def _cell_means(truth: np.ndarray, stride: int, shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = shape
    padded = np.full((rows * stride, columns * stride), np.nan)
    padded[: truth.shape[0], : truth.shape[1]] = truth
    return padded.reshape(rows, stride, columns, stride).mean((1, 3))
