"""How exactly rendered images are displaced: wave by wave, and as a perfect measure sees it."""

import math
from collections.abc import Callable

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.report import Plot, Table, Value
from groundshift.interpolate import kaiser_sinc
from groundshift.synth import Constant, Motion, Waves, optics, radar, spline
from groundshift.synth.motions import origin_of
from groundshift.synth.optics import Optics
from groundshift.synth.radar import Radar, Surface

Array = NDArray[np.float64]
FREQUENCIES = tuple(round(0.05 * k, 2) for k in range(1, 10))
"""Of waves, cycles per sample or pixel."""
SHIFTS = tuple(k / 16 for k in range(17))
TAPS, BETA = 48, 14.0
"""Of the sinc that a perfect measure interpolates with: error 1e-7 up to 0.4 cycles per pixel."""
SIZE = 224
"""Of pairs, pixels, of which 32 along the borders are not used."""
WINDOW = 32
"""Side of the windows of a local measure, pixels."""


def transfer(frequencies: tuple[float, ...], dtype: torch.dtype) -> Array:
    """Complex factor of the spline for each frequency and shift: 1 is exact."""
    n = 400
    at = torch.arange(n, dtype=torch.float64)
    waves = torch.exp(2j * math.pi * torch.tensor(frequencies, dtype=torch.float64)[:, None] * at)
    planes = waves[:, None].expand(-1, 16, -1).to(dtype)
    coefficients = torch.fft.ifft2(spline.prefilter(torch.fft.fft2(planes)))
    inner = at[100:300]
    factors = []
    for shift in SHIFTS:
        found = spline.evaluate(coefficients, torch.full_like(inner, 8.0), inner + shift)
        exact = waves[:, 100:300] * torch.exp(
            2j * math.pi * torch.tensor(frequencies, dtype=torch.float64)[:, None] * shift
        )
        factors.append((found / exact).mean(1))
    return torch.stack(factors, 1).numpy()


def _displacement(factors: Array, frequencies: tuple[float, ...]) -> Array:
    """Samples by which the phase of a factor displaces the wave."""
    return np.angle(factors) / (2 * math.pi * np.array(frequencies)[:, None])


def spectra() -> Table:
    """Errors of the spline by frequency and shift."""
    exact, single = (transfer(FREQUENCIES, kind) for kind in (torch.complex128, torch.complex64))
    moved = _displacement(exact, FREQUENCIES)
    rows: list[list[Value]] = []
    for k, frequency in enumerate(FREQUENCIES):
        error = np.abs(exact[k] - 1)
        rows.append(
            [
                f"{frequency:g}",
                f"{np.sqrt((error**2).mean()):.1e}",
                f"{error.max():.1e}",
                f"{np.sqrt((moved[k] ** 2).mean()):.1e}",
                f"{np.abs(moved[k]).max():.1e}",
                f"{np.abs(single[k] - 1).max():.1e}",
            ]
        )
    text = """A plane wave displaced by 0 to 1 sample (in sixteenths) by the quintic spline that
renders both radar and optical images, against the wave itself: relative error, and the displacement
that its phase pretends. Radar images are displaced complex: up to 0.2 cycles per sample for a
bandwidth of 0.4, up to 0.25 for 0.5, and for products of bandwidth 0.8 on a grid twice as fine up
to 0.2. Optical ground is displaced on a grid twice as fine as the image: 0.25 cycles per sample are
the image's Nyquist frequency, and displacements count half in its pixels. Single precision is what
images are rendered in."""
    columns = (
        "cycles per sample",
        "RMS error",
        "largest",
        "RMS displacement, samples",
        "largest displacement",
        "largest error, single precision",
    )
    return Table("Warp by frequency", columns, rows, text, _spectra_plot(exact))


def _spectra_plot(factors: Array) -> Plot:
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    moved = np.abs(_displacement(factors, FREQUENCIES))
    for shift in (1 / 16, 1 / 8, 1 / 4, 1 / 2):
        error = np.abs(factors[:, SHIFTS.index(shift)] - 1)
        left.semilogy(FREQUENCIES, error, ".-", lw=1, label=f"shift {shift:g}")
    for frequency in (0.1, 0.15, 0.2, 0.25, 0.3, 0.4):
        values = np.maximum(moved[FREQUENCIES.index(frequency)], 1e-10)
        right.semilogy(SHIFTS, values, ".-", lw=1, label=f"{frequency:g} cycles / sample")
    left.axvspan(0, 0.25, color="k", alpha=0.06, lw=0)
    left.set(xlabel="cycles per sample (grey: in use)", title="relative error")
    right.set(xlabel="shift, samples", title="displacement error, samples")
    for axes in (left, right):
        axes.legend(fontsize=7)
        axes.grid(alpha=0.3)
    return Plot("warp", figure, "Error of the spline by frequency and by shift")


def rendered_waves() -> Table:
    """Waves rendered by the simulators, reference against secondary."""
    columns: list[str] = ["cycles per pixel"]
    found: list[tuple[Array, Array]] = []
    renderers: dict[str, Callable[[float, float], tuple[Tensor, Tensor]]] = {
        "radar intensity": _radar_wave,
        "optical": _optical_wave,
    }
    shifts = tuple(k / 8 for k in range(9))
    for name, render in renderers.items():
        pairs = [[_fitted(render(f, s), f, s) for s in shifts] for f in FREQUENCIES]
        found.append(tuple(np.moveaxis(np.array(pairs), -1, 0)))  # type: ignore[arg-type]
        columns += [f"{name}: RMS change of amplitude", "largest displacement error, px"]
    rows: list[list[Value]] = []
    for k, frequency in enumerate(FREQUENCIES):
        row: list[Value] = [f"{frequency:g}"]
        for gain, moved in found:
            row += [f"{np.sqrt(((gain[k] - 1) ** 2).mean()):.1e}", f"{np.abs(moved[k]).max():.1e}"]
        rows.append(row)
    text = """One wave along the rows, rendered by `radar.acquire` (two complex waves whose beat is
the wave of the intensity, bandwidth 0.5) and by `optics.acquire` (point spread and pixels
included), displaced by 0 to 1 px in eighths; amplitude and phase of the secondary against the
reference, by least squares. Images are single precision: 1e-7."""
    return Table("Rendered waves", tuple(columns), rows, text)


def _radar_wave(frequency: float, shift: float) -> tuple[Tensor, Tensor]:
    n = 400  # samples that all frequencies have whole waves in
    size = n - 2 * radar.MARGIN
    at = torch.arange(n, dtype=torch.float64)
    beat = 2 * torch.cos(math.pi * frequency * at)
    points = beat.expand(n, n).to(torch.complex64)
    none = torch.zeros(())
    surface = Surface(torch.ones(()), none, none, points)
    pair = radar.acquire(Radar(0.5), surface, Constant(0.0, shift), size, torch.Generator())
    return pair.reference**2, pair.secondary**2


def _optical_wave(frequency: float, shift: float) -> tuple[Tensor, Tensor]:
    size, camera = 160, Optics(noise=(0.0, 0.0))
    n = size * camera.fine + 2 * optics.MARGIN
    at = torch.arange(n, dtype=torch.float64) / camera.fine
    ground = torch.cos(2 * math.pi * frequency * at + 0.3).expand(n, n).float()
    generator = torch.Generator().manual_seed(round(1e3 * frequency))
    pair = optics.acquire(camera, (ground, ground), Constant(0.0, shift), size, generator)
    return pair.reference, pair.secondary


def _fitted(pair: tuple[Tensor, Tensor], frequency: float, shift: float) -> tuple[float, float]:
    """Ratio of the amplitudes, and displacement less the true one, pixels."""
    at = np.arange(pair[0].shape[1])[24:-24]
    angle = 2 * math.pi * frequency * at
    design = np.stack([np.cos(angle), np.sin(angle), np.ones_like(angle)], -1)
    rows = [image.double().numpy()[24:-24, 24:-24].mean(0) for image in pair]
    first, second = (np.linalg.lstsq(design, row, rcond=None)[0] for row in rows)
    ratio = complex(second[0], -second[1]) / complex(first[0], -first[1])
    ratio *= np.exp(2j * math.pi * frequency * shift)
    return abs(ratio), -float(np.angle(ratio)) / (2 * math.pi * frequency)


def end_to_end() -> Table:
    """What a perfect measure finds in rendered pairs without noise."""
    shifts = [Constant(k / 8, (3 * k % 8) / 8) for k in (1, 2, 3, 4, 6)]
    waves: list[Motion] = [Waves((3.0, 2.0), (200.0, 160.0)), Waves((1.0, 1.5), (90.0, 120.0))]
    rows: list[list[Value]] = []
    for name, render in (
        ("speckle, single look, bandwidth 0.4", _speckle(Radar(0.4))),
        ("speckle, five looks, bandwidth 0.4", _speckle(Radar(0.4, 0.73, looks=5))),
        ("optical texture up to 0.35 cycles/px", _texture),
    ):
        motions = {"shifts": shifts, "waves of 2 to 3 px": waves}
        for kind, cases in motions.items():
            if render is _texture and cases is waves:
                continue  # A camera blurs after the motion: warping its image is not exact.
            found = [_measured(*render(motion, seed), motion) for seed, motion in enumerate(cases)]
            whole = max(abs(v) for f in found for v in f[0])
            local = np.concatenate([f[1].ravel() for f in found])
            residual = max(f[2] for f in found)
            values = (whole, math.sqrt((local**2).mean()), np.abs(local).max(), residual)
            rows.append([name, kind, *(f"{value:.1e}" for value in values)])
    text = f"""Coherence 1, no noise. A perfect measure knows the motion, interpolates the reference
with a sinc of {TAPS} taps (error 1e-7) and finds by least squares what displacement is left, over
the whole image ({SIZE - 64} px) and in windows of {WINDOW} px. Shifts are multiples of 1/8 px in
both directions; waves are 90 to 200 px long."""
    columns = (
        "pair",
        "motion",
        "largest error, whole image, px",
        f"RMS in {WINDOW} px",
        f"largest in {WINDOW} px",
        "largest residual / contrast",
    )
    return Table("End to end: displacement that is not there", columns, rows, text)


def _speckle(product: Radar) -> Callable[[Motion, int], tuple[Tensor, Tensor]]:
    def render(motion: Motion, seed: int) -> tuple[Tensor, Tensor]:
        one = torch.ones(())
        surface = Surface(one, one, one, torch.zeros((), dtype=torch.complex64))
        pair = radar.acquire(product, surface, motion, SIZE, torch.Generator().manual_seed(seed))
        return pair.reference.double() ** 2, pair.secondary.double() ** 2

    return render


def _texture(motion: Motion, seed: int) -> tuple[Tensor, Tensor]:
    size, camera = SIZE, Optics(noise=(0.0, 0.0))
    n = size * camera.fine + 2 * optics.MARGIN
    generator = torch.Generator().manual_seed(seed)
    f = torch.fft.fftfreq(n)
    f = torch.hypot(f[:, None], f) * camera.fine
    shape = (f <= 0.35) / f.clamp(min=1 / n)
    ground = torch.fft.ifft2(torch.fft.fft2(torch.randn(n, n, generator=generator)) * shape).real
    pair = optics.acquire(camera, (ground, ground), motion, size, generator)
    return pair.reference.double(), pair.secondary.double()


def _measured(reference: Tensor, secondary: Tensor, motion: Motion) -> tuple[Array, Array, float]:
    """Displacement left in the whole image and in windows, and the residual's share."""
    edge, n = 32, reference.shape[0]
    at = torch.arange(edge, n - edge, dtype=torch.float64)
    y, x = torch.meshgrid(at, at, indexing="ij")
    py, px, _ = origin_of(motion, y, x)
    expected = _sinc(reference, py, px)
    h = 0.02
    slope_y = (_sinc(reference, py + h, px) - _sinc(reference, py - h, px)) / (2 * h)
    slope_x = (_sinc(reference, py, px + h) - _sinc(reference, py, px - h)) / (2 * h)
    residual = secondary[edge:-edge, edge:-edge].numpy() - expected
    planes = np.stack([slope_y, slope_x, residual])
    share = float(residual.std() / expected.std())
    count = planes.shape[1] // WINDOW
    cut = planes[:, : count * WINDOW, : count * WINDOW]
    cells = cut.reshape(3, count, WINDOW, count, WINDOW).transpose(1, 3, 0, 2, 4)
    return _solve(planes[None])[0], _solve(cells.reshape(-1, 3, WINDOW, WINDOW)), share


def _solve(planes: Array) -> Array:
    """Displacements ``(n, 2)`` that explain residuals by slopes: ``r = -slope . d``."""
    flat = planes.reshape(len(planes), 3, -1)
    normal = np.einsum("nip,njp->nij", flat, flat)
    return -np.linalg.solve(normal[:, :2, :2], normal[:, :2, 2:])[..., 0]


def _sinc(image: Tensor, y: Tensor, x: Tensor) -> Array:
    """Interpolate far from the border, row of points by row of points."""
    source, out = image.numpy(), np.empty(y.shape)
    taps = np.arange(TAPS) - TAPS // 2 + 1
    for k, (rows, columns) in enumerate(zip(y.numpy(), x.numpy(), strict=True)):
        i, j = np.floor(rows), np.floor(columns)
        wy, wx = (
            kaiser_sinc(taps - (at - whole)[:, None], TAPS, BETA)
            for at, whole in ((rows, i), (columns, j))
        )
        index = (
            (i.astype(int)[:, None] + taps)[:, :, None],
            (j.astype(int)[:, None] + taps)[:, None],
        )
        out[k] = np.einsum("pa,pab,pb->p", wy, source[index], wx, optimize=True)
    return out
