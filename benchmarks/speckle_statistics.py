"""Simulated speckle against the theory of circular Gaussian fields."""

import math

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.report import Plot, Table, Value
from groundshift.synth import Constant
from groundshift.synth.radar import MARGIN, Radar, Surface, acquire

Array = NDArray[np.float64]
RADARS = {
    "oversampled SLC": Radar(bandwidth=0.4),
    "ground range, 5 looks": Radar(bandwidth=0.5, window=0.73, looks=5),
    "SLC as it is": Radar(bandwidth=0.8, fine=2),
    "averaged 2 x 2": Radar(bandwidth=0.8, fine=2, average=True),
}
"""The products of `Radar`'s docstring."""
COHERENCES = tuple(k / 10 for k in range(11))
SIZE = 512
ROUNDS = 4
MAP, REALISATIONS = 64, 4000
"""Side of the map of coherence, and how often it is drawn."""


class Theory:
    """Second-order statistics of a product, by quadrature over its response."""

    def __init__(self, radar: Radar) -> None:
        self.radar = radar
        f = np.linspace(-0.5, 0.5, 4001)
        self._f = f * radar.bandwidth
        self._weight = radar.window + (1 - radar.window) * np.cos(2 * np.pi * f)

    def amplitude(self, lag: Array) -> Array:
        """Correlation of complex images along one axis at lags in pixels."""
        waves = np.cos(2 * np.pi * np.multiply.outer(lag, self._f))
        power = self._weight**2
        return np.trapezoid(waves * power, self._f) / np.trapezoid(power, self._f)

    def intensity(self, lag: Array) -> Array:
        """Correlation of the product's intensities at lags in pixels, mean of both axes.

        That of the amplitudes, squared and averaged over samples and looks: along x, the looks'
        common part of the spectrum correlates at lags of its own.
        """
        across = self._averaged(lag) / self._averaged(np.zeros(1))
        if self.radar.looks == 1:
            return across
        return (across + self._between_looks(lag) / self._between_looks(np.zeros(1))) / 2

    def _averaged(self, lag: Array) -> Array:
        within = self._samples[:, None] - self._samples
        return (self.amplitude(lag[..., None, None] + within) ** 2).mean((-1, -2))

    @property
    def _samples(self) -> Array:
        """Places that are averaged, pixels."""
        fine = self.radar.fine
        return np.arange(fine) / fine if self.radar.average else np.zeros(1)

    @property
    def looks(self) -> float:
        """Equivalent number: of looks that share spectrum, and of samples that are averaged."""
        none = np.zeros(1)
        return float(1 / (self._between_looks(none) * self._averaged(none) ** 2)[0])

    def _between_looks(self, lag: Array) -> Array:
        """Squared correlation of two looks along x, mean over all pairs."""
        bands = np.arange(self.radar.looks) * (1 - self.radar.overlap)
        f = np.linspace(-0.5, 0.5, 4001)

        def weight(at: Array) -> Array:
            shape = self.radar.window + (1 - self.radar.window) * np.cos(2 * np.pi * at)
            return np.where(np.abs(at) <= 0.5, shape, 0.0)

        waves = np.exp(2j * np.pi * np.multiply.outer(lag * self.radar.bandwidth, f))
        pairs = [weight(f) * weight(f + b - a) for a in bands for b in bands]
        shared = np.array([(waves * pair).sum(-1) for pair in pairs]) / (weight(f) ** 2).sum()
        return (np.abs(shared) ** 2).mean(0)


def _flat(coherence: float) -> Surface:
    one = torch.ones(())
    return Surface(torch.tensor(coherence), one, one, torch.zeros((), dtype=torch.complex64))


def _pair(radar: Radar, coherence: float, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pair = acquire(radar, _flat(coherence), Constant(), SIZE, generator)
    return pair.reference.double() ** 2, pair.secondary.double() ** 2


def correlations() -> Table:
    """Siegert's relation: intensities correlate by the square of coherence."""
    rows: list[list[Value]] = []
    for k, coherence in enumerate(COHERENCES):
        row: list[Value] = [f"{coherence:g}", f"{coherence**2:.2f}"]
        for radar in RADARS.values():
            a, b = (image.flatten() for image in _pair(radar, coherence, 100 + k))
            row.append(f"{float(torch.corrcoef(torch.stack([a, b]))[0, 1]):.4f}")
        rows.append(row)
    worst = [max(abs(float(row[k]) - float(row[1])) for row in rows) for k in range(2, 6)]
    rows.append(["largest difference", "", *(f"{w:.4f}" for w in worst)])
    text = f"""One pair of {SIZE} x {SIZE} px for each number: 42,000 to 66,000 resolution cells in
the single-look products, hence a standard error of 0.004 to 0.005 at low coherence."""
    return Table("Correlation of intensities", ("coherence", "its square", *RADARS), rows, text)


def distributions() -> Table:
    """Looks, the distribution of amplitude, and the correlation of neighbours."""
    rows: list[list[Value]] = []
    lags = np.arange(9.0)
    curves = {}
    for name, radar in RADARS.items():
        theory = Theory(radar)
        images = [i for seed in range(ROUNDS) for i in _pair(radar, 0.0, 200 + seed)]
        looks = [float(i.mean() ** 2 / i.var()) for i in images]
        expected = theory.intensity(lags)
        found = np.mean([[_correlation(i, int(lag)) for lag in lags] for i in images], axis=0)
        curves[name] = theory, found
        rows.append(
            [
                name,
                f"{theory.looks:.2f}",
                f"{np.mean(looks):.2f} ± {np.std(looks) / math.sqrt(len(looks)):.2f}",
                float(np.mean([float(i.mean()) for i in images])),
                _kolmogorov(images, theory.looks),
                float(np.abs(found - expected).max()),
            ]
        )
    text = f"""{2 * ROUNDS} images of {SIZE} x {SIZE} px. The equivalent number of looks is mean^2 /
variance of intensity; Sentinel-1's ground-range products have 4.9. Theory follows from the
response: the shared spectrum of looks and the correlation of averaged samples. The amplitude of one
look is Rayleigh's; that of several is compared with Nakagami's of the same number of looks, which
is exact for independent looks only. The Kolmogorov distance of as many independent samples as there
are resolution cells is 0.002."""
    columns = (
        "product",
        "looks, theory",
        "looks, found",
        "mean intensity",
        "Kolmogorov distance of amplitude",
        "largest error of autocorrelation, lags 0 to 8 px",
    )
    title = "Looks, amplitude and autocorrelation"
    return Table(title, columns, rows, text, _curves_plot(curves, lags))


def _correlation(image: Tensor, lag: int) -> float:
    """Of pixels `lag` apart, mean of both axes."""
    total, n = 0.0, image.shape[0]
    for plane in (image, image.T):
        a, b = plane[: n - lag].flatten(), plane[lag:].flatten()
        total += float(torch.corrcoef(torch.stack([a, b]))[0, 1]) / 2
    return total


def _kolmogorov(images: list[Tensor], looks: float) -> float:
    """Distance of all intensities from a gamma distribution, an exponential one for one look."""
    values = torch.cat([image.flatten() for image in images]).sort().values[::16]
    shape = torch.tensor(looks, dtype=torch.float64)
    expected = torch.special.gammainc(shape, values * shape)
    rank = (torch.arange(len(values), dtype=torch.float64) + 0.5) / len(values)
    return float((rank - expected).abs().max())


def _curves_plot(curves: dict[str, tuple[Theory, Array]], lags: Array) -> Plot:
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    fine = np.linspace(0, 8, 161)
    for name, (theory, found) in curves.items():
        (line,) = axes.plot(lags, found, "o", ms=4, label=name)
        axes.plot(fine, theory.intensity(fine), lw=1, color=line.get_color())
    axes.set(xlabel="lag, pixels", ylabel="correlation of intensity", title="dots: found")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)
    return Plot("autocorrelation", figure, "Autocorrelation of intensity: theory and found")


def long_averages() -> Table:
    """Exact coherence against averages over many draws of one map."""
    radar = Radar(bandwidth=0.4, window=0.75)
    surface, power = _map(radar)
    halves = []
    truth = torch.zeros(())
    for half in (0, 1):
        sums = torch.zeros(3, MAP, MAP, dtype=torch.float64)
        for k in range(REALISATIONS // 2):
            generator = torch.Generator().manual_seed(10**6 * (half + 1) + k)
            pair = acquire(radar, surface, Constant(), MAP, generator)
            a, b = pair.reference.double() ** 2, pair.secondary.double() ** 2
            sums += torch.stack([a, b, a * b])
            truth = pair.coherence
        halves.append(sums / (REALISATIONS // 2))
    means = (halves[0] + halves[1]) / 2
    found, one, other = (_coherence(m, power) for m in (means, *halves))
    exact = truth.double().numpy()
    noise = np.abs(one - other) / 2
    rows: list[list[Value]] = []
    sides = np.arange(MAP)
    near = np.hypot(sides[:, None] - MAP // 4, sides - 3 * MAP // 4) < 5
    edge = (np.abs(sides - MAP // 2) < 4)[None] | (np.abs(sides - MAP // 2) < 4)[:, None]
    for name, chosen in (
        ("all", np.ones_like(near)),
        ("within 4 px of an edge", edge & ~near),
        ("within 5 px of the point", near),
        ("elsewhere", ~edge & ~near),
    ):
        error = (found - exact)[chosen]
        deviations = np.sqrt((error**2).mean()), np.sqrt((noise[chosen] ** 2).mean())
        rows.append([name, int(chosen.sum()), float(error.mean()), *(float(d) for d in deviations)])
    quarter = slice(MAP // 2 + 6, None)
    profile = np.sqrt((found[quarter] ** 2).mean(0)), np.sqrt((exact[quarter] ** 2).mean(0))
    gap = float(np.abs(profile[0] - profile[1]).max())
    text = f"""A map of {MAP} x {MAP} px with coherence 0.9 to the left and 0.3 to the right,
backscatter four times as high on the second date in the upper half, receiver noise of 0.2, and one
bright point. `acquire` is called {REALISATIONS} times; coherence follows from the moments of
intensity, sqrt((cov(I1, I2) + P^2) / (E I1 E I2)), with P the power of the point under the
response. Noise is what half the difference between two halves of the draws says. Along the profile
across the edge (mean of {MAP // 2 - 6} rows), the largest difference is {gap:.4f}."""
    columns = ("place", "pixels", "mean difference", "RMS difference", "RMS noise of the average")
    title = "Exact coherence against long averages"
    return Table(title, columns, rows, text, _map_plot(exact, found, profile))


def _map(radar: Radar) -> tuple[Surface, Array]:
    """Surface with edges, noise and a point, and the power of the point in the image."""
    n = MAP + 2 * MARGIN
    gamma = torch.full((n, n), 0.9)
    gamma[:, n // 2 :] = 0.3
    second = torch.ones(n, n)
    second[: n // 2] = 4.0
    points = torch.zeros(n, n, dtype=torch.complex64)
    points[MARGIN + MAP // 4, MARGIN + 3 * MAP // 4] = 12.0
    surface = Surface(gamma, torch.ones(n, n), second, points, noise=0.2)
    none = torch.zeros(())
    alone = surface._replace(first=none, second=none, noise=0.0)
    image = acquire(radar, alone, Constant(), MAP, torch.Generator().manual_seed(1))
    return surface, image.reference.double().numpy() ** 2


def _coherence(means: Tensor, power: Array) -> Array:
    first, second, product = means.numpy()
    return np.sqrt(np.clip(product - first * second + power**2, 0, None) / (first * second))


def _map_plot(exact: Array, found: Array, profile: tuple[Array, Array]) -> Plot:
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for axes, plane, title in ((left, exact, "exact"), (middle, found, "average")):
        shown = axes.imshow(plane, vmin=0, vmax=1, cmap="viridis")
        axes.set(title=title, xticks=[], yticks=[])
    figure.colorbar(shown, ax=middle)
    right.plot(profile[1], "k", lw=1, label="exact")
    right.plot(profile[0], ".", ms=4, label="average")
    right.set(xlabel="column, pixels", title="across the edge, lower half")
    right.legend(fontsize=7)
    right.grid(alpha=0.3)
    return Plot("coherence", figure, "Exact coherence and the average over many draws")
