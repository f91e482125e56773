"""The noise of speckle tracking by Monte Carlo, against the laws of Bamler & Eineder (2005).

Pairs are rendered with a known fraction of a pixel of motion, cut into windows, and every window is
matched by the estimator that the laws describe: the maximum of the normalised correlation, of
complex images for the coherent law and of intensities for the incoherent one. The secondary is not
cut (template matching), so that no energy enters or leaves with the lag. Correlations are known at
whole lags and are interpolated by a sinc of 24 taps under a Kaiser window.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.report import Plot, Table, Value
from groundshift.interpolate import kaiser_sinc
from groundshift.synth import Constant, spline, tracking_limit
from groundshift.synth.radar import MARGIN, Radar, Surface, acquire

RADAR = Radar(bandwidth=0.4)
COHERENCES = (0.95, 0.8, 0.6, 0.5, 0.4, 0.3)
CELLS = (16, 32, 64)
"""Side of the windows, resolution cells."""
WINDOWS = {16: 800, 32: 400, 64: 200}
"""Windows of each size, at least; each gives two components."""
TAPS = 24
SEARCH = 3
"""Lags around the true one among which the maximum is sought, pixels."""
GROSS = 0.5
"""Errors beyond are another maximum, resolution cells."""
BAR = 0.15


class Trial(NamedTuple):
    """Errors of one law, in resolution cells."""

    coherence: float
    cells: int
    law: float
    errors: np.ndarray

    @property
    def deviation(self) -> float:
        """Root mean square."""
        return float(np.sqrt((self.errors**2).mean()))

    @property
    def gross(self) -> float:
        """Share of errors that are another maximum."""
        return float((np.abs(self.errors) > GROSS).mean())

    @property
    def ratio(self) -> float:
        """Deviation without gross errors, to the law."""
        fine = self.errors[np.abs(self.errors) <= GROSS]
        return float(np.sqrt((fine**2).mean())) / self.law

    @property
    def uncertainty(self) -> float:
        """Standard error of the deviation, relative, if errors are Gaussian."""
        return 1 / math.sqrt(2 * self.errors.size)


def coherent_limit(coherence: float, cells: float) -> float:
    """Deviation of coherent tracking in resolution cells (Bamler & Eineder 2005)."""
    return math.sqrt(1.5 / cells * (1 - coherence**2)) / (math.pi * coherence)


def plane_limit(coherence: float, cells: float) -> float:
    """Deviation of incoherent tracking in two dimensions, resolution cells.

    The published law is that of one dimension: Gaussian moments of intensity and its slope give
    ``5 g^2 (1 - g^2)``, whose correlation between cells is ``sinc^2``, and ``2 (1 - g^4)``, whose
    correlation is ``sinc^4``. Across the direction of the slope, the first integrates to one cell
    and the second to two thirds of one, which makes the sum ``4/3 + 5 g^2 - 19/3 g^4``.
    """
    rho = coherence**2
    return math.sqrt(0.3 / cells * (1 - rho) * (4 + 19 * rho) / 3) / (math.pi * rho)


def complex_pair(
    coherence: float, motion: Constant, size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Both dates before detection, rendered from the package's response and splines."""
    n = size + 2 * MARGIN
    white = torch.randn(2, n, n, 2, generator=generator)
    kept, lost = torch.view_as_complex(white) / math.sqrt(2)
    response = RADAR.response(n, generator.device)[1].float()
    gain = response[:, None] * response
    later = coherence * kept + math.sqrt(1 - coherence**2) * lost
    first = torch.fft.ifft2(torch.fft.fft2(kept) * gain)
    inner = torch.arange(MARGIN, n - MARGIN, dtype=torch.float64)
    y, x = torch.meshgrid(inner - motion.dy, inner - motion.dx, indexing="ij")
    planes = torch.fft.ifft2(spline.prefilter(torch.fft.fft2(later) * gain))
    return first[MARGIN:-MARGIN, MARGIN:-MARGIN], spline.evaluate(planes[None], y, x)[0]


def detected_pair(
    coherence: float, motion: Constant, size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Intensities as the simulator delivers them."""
    one = torch.ones(())
    surface = Surface(torch.tensor(coherence), one, one, torch.zeros((), dtype=torch.complex64))
    pair = acquire(RADAR, surface, motion, size, generator)
    return pair.reference**2, pair.secondary**2


def correlations(reference: Tensor, secondary: Tensor, window: int) -> Tensor:
    """Normalised correlation of all windows at whole lags: ``(B, 2 R + 1, 2 R + 1)``.

    Of complex images the magnitude's square, of intensities the coefficient.
    """
    reach = SEARCH + TAPS // 2
    wide = window + 2 * reach
    size = reference.shape[0]
    count = (size - 2 * reach) // window
    first = [reach + window * k for k in range(count)]
    a = torch.stack([reference[i : i + window, j : j + window] for i in first for j in first])
    b = torch.stack(
        [secondary[i - reach :, j - reach :][:wide, :wide] for i in first for j in first]
    )
    if not a.is_complex():
        a = a - a.mean((1, 2), keepdim=True)
        b = b - b.mean((1, 2), keepdim=True)  # for precision
    shape, lags = (wide, wide), 2 * reach + 1
    if a.is_complex():
        spectrum = torch.fft.fft2(a, s=shape).conj() * torch.fft.fft2(b)
        product = torch.fft.ifft2(spectrum)[:, :lags, :lags]
        return (product.real**2 + product.imag**2) / _box(b.real**2 + b.imag**2, window)
    spectrum = torch.fft.rfft2(a, s=shape).conj() * torch.fft.rfft2(b)
    product = torch.fft.irfft2(spectrum, s=shape)[:, :lags, :lags]
    variance = _box(b**2, window) - _box(b, window) ** 2 / window**2
    return product / variance.sqrt()


def _box(planes: Tensor, window: int) -> Tensor:
    """Sum over windows at every lag."""
    total = torch.nn.functional.pad(planes.double().cumsum(1).cumsum(2), (1, 0, 1, 0))
    rows = total[:, window:] - total[:, :-window]
    return (rows[:, :, window:] - rows[:, :, :-window]).float()


def maxima(surface: Tensor, centre: tuple[float, float]) -> Tensor:
    """Places ``(B, 2)`` of the maxima near a lag, pixels: Newton's method from the best lag."""
    reach = surface.shape[1] // 2
    rows, columns = (
        slice(round(c) + reach - SEARCH, round(c) + reach + SEARCH + 1) for c in centre
    )
    near = surface[:, rows, columns].flatten(1).argmax(1)
    side = 2 * SEARCH + 1
    start = torch.stack([near // side + rows.start, near % side + columns.start], -1).double()
    place = start.clone()
    planes = surface.double()
    for _ in range(12):
        (wy, gy, hy), (wx, gx, hx) = (_weights(place[:, k], surface.shape[1]) for k in (0, 1))

        def at(p: Tensor, q: Tensor) -> Tensor:
            return torch.einsum("bi,bij,bj->b", p, planes, q)

        slope = torch.stack([at(gy, wx), at(wy, gx)], -1)
        yy, yx, xx = at(hy, wx), at(gy, gx), at(wy, hx)
        determinant = yy * xx - yx**2
        step = torch.stack(
            [slope[:, 0] * xx - slope[:, 1] * yx, slope[:, 1] * yy - slope[:, 0] * yx], -1
        )
        step = step / determinant[:, None]
        hill = (determinant > 0) & (yy < 0)
        uphill = torch.sign(slope) * 0.1
        step = torch.where(hill[:, None], -step.clamp(-0.3, 0.3), uphill)
        place = torch.maximum(torch.minimum(place + step, start + 1), start - 1)
    return place - reach


def _weights(place: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of whole lags for the value, slope and curvature at places."""
    distance = np.arange(n) - place.numpy()[:, None]
    h = 0.01
    low, mid, high = (kaiser_sinc(distance + o, TAPS, 8.0) for o in (h, 0.0, -h))
    parts = (mid, (high - low) / (2 * h), (high - 2 * mid + low) / h**2)
    return tuple(torch.from_numpy(p) for p in parts)  # type: ignore[return-value]


def trial(coherence: float, cells: int, seed: int, *, coherent: bool) -> Trial:
    """Match enough windows of one size at one coherence."""
    window = round(cells / RADAR.bandwidth)
    across = max(1, 480 // window)
    size = across * window + 2 * (SEARCH + TAPS // 2)
    make, limit = (complex_pair, coherent_limit) if coherent else (detected_pair, tracking_limit)
    errors = []
    for pair in range(math.ceil(WINDOWS[cells] / across**2)):
        rng = np.random.default_rng((seed, round(100 * coherence), cells, pair))
        dy, dx = (float(v) for v in rng.uniform(-0.5, 0.5, 2))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        reference, secondary = make(coherence, Constant(dy, dx), size, generator)
        found = maxima(correlations(reference, secondary, window), (dy, dx))
        errors.append((found - torch.tensor([dy, dx])).numpy() * RADAR.bandwidth)
    samples = (window * RADAR.bandwidth) ** 2
    return Trial(coherence, cells, limit(coherence, samples), np.concatenate(errors))


def tables() -> list[Table]:
    """Both laws at all coherences and window sizes."""
    found = {
        coherent: [
            trial(coherence, cells, int(coherent), coherent=coherent)
            for coherence in COHERENCES
            for cells in CELLS
        ]
        for coherent in (True, False)
    }
    plot = _plot(found)
    return [_coherent(found[True]), _incoherent(found[False], plot)]


def _coherent(trials: list[Trial]) -> Table:
    rows = [_row(t) for t in trials]
    text = f"""Maximum of the magnitude of the normalised complex correlation against sqrt(3 / (2
N)) sqrt(1 - g^2) / (pi g), {_common()}"""
    columns = _columns()
    return Table("Coherent tracking", columns, rows, text)


def _incoherent(trials: list[Trial], plot: Plot) -> Table:
    rows = []
    for t in trials:
        plane = plane_limit(t.coherence, t.cells**2)
        rows.append([*_row(t), t.ratio * t.law / plane, t.coherence**2 * t.cells])
    text = f"""Maximum of the normalised correlation of intensities against sqrt(3 / (10 N)) sqrt(2
+ 5 g^2 - 7 g^4) / (pi g^2), {_common()} That law is derived along a line. In a square window its
terms of fourth order, 2 (1 - g^4), count two thirds, since sinc^4 across the window integrates to
two thirds of a cell: sqrt(4/3 + 5 g^2 - 19/3 g^4) takes the place of the root, 0.92 of the law at
high and 0.85 at low coherence ("in two dimensions"). The law supposes one maximum: gross errors
begin where g^2 sqrt(N), the height of the peak above the noise of the correlation, falls below 5.
From there on, the law in two dimensions holds within a few per cent."""
    columns = (*_columns(), "ratio in two dimensions", "g^2 sqrt(N)")
    return Table("Incoherent tracking", columns, rows, text, plot)


def _common() -> str:
    return f"""for a true motion drawn within 0.5 px and bandwidth {RADAR.bandwidth}; errors of both
components in resolution cells. The ratio leaves out gross errors, those beyond {GROSS} cells; their
share is given. It is known to 1 / sqrt(2 n) for n errors. "Holds": all errors within
{BAR:.0%} of the law."""


def _columns() -> tuple[str, ...]:
    return ("coherence", "side, cells", "errors", "law", "found", "ratio", "±", "gross", "holds")


def _row(t: Trial) -> list[Value]:
    holds = "yes" if abs(t.deviation / t.law - 1) <= BAR else "no"
    numbers = (t.law, t.deviation, t.ratio, t.uncertainty, t.gross)
    return [f"{t.coherence:g}", t.cells, t.errors.size, *numbers, holds]


def _plot(found: dict[bool, list[Trial]]) -> Plot:
    figure = Figure(figsize=(8, 3), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (coherent, trials) in zip(panels, found.items(), strict=True):
        for cells in CELLS:
            own = [t for t in trials if t.cells == cells]
            ratios, bars = [t.ratio for t in own], [2 * t.ratio * t.uncertainty for t in own]
            at = [t.coherence for t in own]
            axes.errorbar(at, ratios, bars, fmt="o-", ms=3, lw=1, label=f"{cells} cells")
        axes.axhspan(1 - BAR, 1 + BAR, color="k", alpha=0.06, lw=0)
        axes.axhline(1, color="k", lw=0.5)
        axes.set(xlabel="coherence", title="coherent" if coherent else "incoherent")
        axes.set_ylim(0.6, 1.6)
    grid = np.linspace(0.3, 0.95, 50)
    plane = [plane_limit(g, 1) / tracking_limit(g, 1) for g in grid]
    panels[1].plot(grid, plane, "k--", lw=1, label="in two dimensions")
    panels[0].set_ylabel("deviation / law (without gross errors)")
    panels[1].legend(fontsize=7)
    return Plot("tracking", figure, "Noise of tracking against its laws, two standard errors")
