"""Drawn earthquakes against what they are drawn from: sizes, moments, spectra.

Sizes and moments are measured on meshes of the rough surfaces, not read from what was asked for.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.report import Plot, Table, Value
from groundshift.synth.dislocations import areas, frames
from groundshift.synth.fault_mesh import RESOLUTION, Focus, draw_slip, fault_mesh
from groundshift.synth.faults import (
    AREA_SCATTER,
    SHEAR_MODULUS,
    Rupture,
    Segment,
    draw_rupture,
    seismic_moment,
)
from groundshift.synth.power_law import power_law_field

Array = NDArray[np.float64]
COUNT = 300
ELEMENT = 500.0
"""Edges of triangles at the surface, metres."""
OFFSET = {"strike-slip": 3.99, "normal": 4.00, "reverse": 4.00}
"""Leonard (2010), table 6: M less the logarithm of the area in km2."""
LENGTHS = {"strike-slip": (4.17, 1 / 0.6), "normal": (4.24, 1 / 0.6), "reverse": (4.24, 1 / 0.6)}
"""The same for the length in km: offset and factor, while the width grows."""
COLOURS = {"strike-slip": "#1b6ca8", "normal": "#b2570b", "reverse": "#5a8f29"}


class Measured(NamedTuple):
    """One rupture; lengths in km, slip in m."""

    style: str
    magnitude: float
    length: float
    width: float
    slip: float
    scalar: float
    """Magnitude of the sum of all moments."""
    tensor: float
    """Magnitude of the moment tensor: what a distant seismometer would see."""
    full_width: bool
    """Whether the crust cut it off."""
    asked: float
    """Area that the mesh was to have, km2."""

    @property
    def area(self) -> float:
        """Of the main fault."""
        return self.length * self.width


def measured(rupture: Rupture, rng: np.random.Generator) -> Measured:
    """Mesh a rupture coarsely, draw its slip and measure both."""
    fault = fault_mesh(rupture, Focus(0.0, 0.0, 0.0, ELEMENT))
    slip = draw_slip(rupture, fault, rng)
    size, axes = areas(fault.mesh), frames(fault.mesh)
    burgers, normal = torch.einsum("tij,tj->ti", axes, slip), axes[..., 2]
    amount = slip.norm(dim=-1)
    half = torch.einsum("t,ti,tj->ij", size, burgers, normal) * SHEAR_MODULUS
    tensor = half + half.T
    shares = torch.tensor([segment.share for segment in rupture.segments])
    main = shares[fault.segment] == 1
    area = float(size[main].sum()) / 1e6
    length = sum(segment.length for segment in rupture.segments if segment.share == 1) / 1e3
    return Measured(
        style=rupture.style,
        magnitude=rupture.magnitude,
        length=length,
        width=area / length,
        slip=float((size * amount).sum() / size.sum()),
        scalar=_magnitude(SHEAR_MODULUS * float((size * amount).sum())),
        tensor=_magnitude(float(tensor.norm()) / math.sqrt(2)),
        full_width=rupture.size.width < 0.999 * _free_width(rupture),
        asked=rupture.size.length * rupture.size.width / 1e6,
    )


def _magnitude(moment: float) -> float:
    return (math.log10(moment) - 9.1) / 1.5


def _free_width(rupture: Rupture) -> float:
    """Width in metres that a rupture of this area has where the crust does not cut it off."""
    area = rupture.size.length * rupture.size.width
    ratio = 15.0 if rupture.style == "strike-slip" else 17.5
    return ratio * (area / ratio) ** 0.4


def scaling() -> Table:
    """Sizes against Leonard's relations, with their scatter."""
    rng = np.random.default_rng(1)
    found = [measured(draw_rupture(rng), rng) for _ in range(COUNT)]
    free = [m for m in found if not m.full_width]
    rows = [
        _row("area / Leonard's", AREA_SCATTER, [math.log10(m.area / _area(m)) for m in found]),
        _row("mean slip / Leonard's", AREA_SCATTER, [math.log10(m.slip / _slip(m)) for m in found]),
        _row(
            "length / Leonard's, above the crust's end",
            0.6 * AREA_SCATTER,
            [math.log10(m.length / _length(m)) for m in free],
        ),
        _row(
            "width / Leonard's, above the crust's end",
            0.4 * AREA_SCATTER,
            [math.log10(m.width * _length(m) / _area(m)) for m in free],
        ),
    ]
    for name, values in (
        ("area of the mesh / area asked for", [math.log10(m.area / m.asked) for m in found]),
        ("magnitude of the summed moments - magnitude", [m.scalar - m.magnitude for m in found]),
        ("magnitude of the moment tensor - magnitude", [m.tensor - m.magnitude for m in found]),
    ):
        rows.append(_row(name, 0.0, values))
    text = f"""{COUNT} earthquakes as drawn by default, magnitudes 6.5 to 7.9, measured on their
meshes: decimal logarithms of ratios, and differences of magnitudes. The scatter asked for is
{AREA_SCATTER} in the area; observed earthquakes have 0.24 (Wells & Coppersmith 1994). Those above
the crust's end are the smaller ones of each magnitude, hence the means below zero. Slip of branches
and of rough surfaces points in different directions: the tensor of all is a little smaller than
their sum, but for what opening adds."""
    columns = ("quantity", "number", "mean", "expected scatter", "scatter", "least", "largest")
    return Table("Scaling and moments", columns, rows, text, _scaling_plot(found))


def _row(name: str, scatter: float, values: list[float]) -> list[Value]:
    numbers = (np.mean(values), scatter, np.std(values), np.min(values), np.max(values))
    return [name, len(values), *(float(n) for n in numbers)]


def _area(m: Measured) -> float:
    return 10 ** (m.magnitude - OFFSET[m.style])


def _length(m: Measured) -> float:
    offset, factor = LENGTHS[m.style]
    return 10 ** ((m.magnitude - offset) / factor)


def _slip(m: Measured) -> float:
    return seismic_moment(m.magnitude) / (SHEAR_MODULUS * _area(m) * 1e6)


def _scaling_plot(found: list[Measured]) -> Plot:
    figure = Figure(figsize=(9, 3), layout="constrained")
    panels = figure.subplots(1, 3)
    magnitudes = np.linspace(6.5, 7.9, 50)
    area = 10 ** (magnitudes - 3.99)
    length = np.where(
        magnitudes > 6.9, 10 ** (magnitudes - 5.27), 10 ** (0.6 * (magnitudes - 4.17))
    )
    slip = 10 ** (1.5 * magnitudes + 9.1) / (SHEAR_MODULUS * area * 1e6)
    laws = {"length": length, "width": area / length, "slip": slip}
    units = {"length": "km", "width": "km", "slip": "m"}
    for axes, (name, law) in zip(panels, laws.items(), strict=True):
        for style, colour in COLOURS.items():
            own = [m for m in found if m.style == style]
            values = [getattr(m, name) for m in own]
            at = [m.magnitude for m in own]
            axes.semilogy(at, values, ".", ms=3, color=colour, label=style)
        axes.semilogy(magnitudes, law, "k", lw=1, label="Leonard (2010), strike-slip")
        factor = 10 ** (AREA_SCATTER * {"length": 1.0, "width": 0.0, "slip": 1.0}[name])
        axes.fill_between(magnitudes, law / factor, law * factor, color="k", alpha=0.1, lw=0)
        axes.set(xlabel="magnitude", title=f"{name}, {units[name]}")
        axes.grid(alpha=0.3, which="both")
    panels[2].legend(fontsize=6)
    return Plot("scaling", figure, "Length, width and mean slip against magnitude")


def spectra() -> Table:
    """Exponents of slip and of roughness."""
    rows: list[list[Value]] = []
    for name, decay in (("slip, k^-2", 2.0), ("roughness, Hurst 0.8", 1.8)):
        rows.append([f"field of {name}: amplitude in two dimensions", -decay, _plane(decay)])
    slip, rough = _slip_profiles(), _rough_profiles()
    law = slip._replace(power=slip.expected)
    rows.append(["slip along strike on meshes: power", law.slope, slip.slope])
    rows.append(["upper edge's deviation from its line: power", -2.6, rough.slope])
    text = """The amplitude of slip decays as k^-2 in two dimensions (Herrero & Bernard 1994), so
that the power of its profiles decays as k^-3; a rough surface of Hurst exponent H has profiles of
power k^-(1 + 2H). Profiles under a Hann window, averaged over 40 slips of one mesh and over 60
ruptures. Slip of a long fault is longer along strike than down the dip by its ratio of sides. Where
that ratio times k is finer than the nodes, waves down the dip are missing and k^-3 goes over into
k^-4: on meshes, what is expected is the sum over the waves that the nodes hold."""
    columns = ("exponent of", "expected", "found")
    return Table("Spectra", columns, rows, text, _spectra_plot(slip, rough))


def _plane(decay: float) -> float:
    n, spacing = 1024, 50.0
    field = power_law_field((n, n), spacing, decay, (8e3, 8e3), np.random.default_rng(1))
    kx = 2 * np.pi * np.fft.rfftfreq(n, spacing)
    k = np.hypot(2 * np.pi * np.fft.fftfreq(n, spacing)[:, None], kx).ravel()
    power = np.abs(np.fft.rfft2(field)).ravel() ** 2
    chosen = (k > 1e-3) & (k < 5e-2)
    return float(np.polyfit(np.log(k[chosen]), np.log(power[chosen]), 1)[0]) / 2


class Spectrum(NamedTuple):
    """Mean power of profiles."""

    waves: Array
    """Cycles per length of the profile."""
    power: Array
    expected: Array
    """Its law, of any scale."""
    low: float
    high: float
    """Between which the exponent is fitted."""

    @property
    def slope(self) -> float:
        """Exponent."""
        chosen = (self.waves >= self.low) & (self.waves <= self.high)
        return float(np.polyfit(np.log(self.waves[chosen]), np.log(self.power[chosen]), 1)[0])


def _power(profile: Array) -> Array:
    n = len(profile)
    line = np.polyval(np.polyfit(np.arange(n), profile, 1), np.arange(n))
    return np.abs(np.fft.rfft((profile - line) * np.hanning(n)))[1:] ** 2


def _slip_profiles() -> Spectrum:
    rng = np.random.default_rng(2)
    rupture = draw_rupture(rng, 7.4, "strike-slip", buried=0.0)
    number, segment = _longest(rupture)
    middle = segment.point(np.array(segment.length / 2), np.array(0.0))
    focus = Focus(float(middle[0]), float(middle[1]), segment.length, 100.0)
    fault = fault_mesh(rupture, focus)
    row = fault.upper_triangles[number]
    power = [_power(draw_slip(rupture, fault, rng)[row].norm(dim=-1).numpy()) for _ in range(40)]
    waves = np.arange(1.0, len(power[0]) + 1)
    steps = [fault.mesh.vertices[upper].diff(dim=0).norm(dim=-1) for upper in fault.upper]
    nodes = RESOLUTION * float(torch.cat(steps).min())
    length = max(part.along + part.length for part in rupture.segments)
    depth = max(part.bottom for part in rupture.segments)
    down = 2 * np.pi * np.fft.fftfreq(int(depth / nodes), nodes) * 0.15 * min(depth, length)
    along = 2 * np.pi * waves / segment.length * 0.15 * length
    expected = ((1 + along[:, None] ** 2 + down**2) ** -2.0).sum(1)
    # Tapers add long waves; splines keep two thirds of what the nodes hold.
    return Spectrum(waves, np.mean(power, axis=0), expected, 10, segment.length / nodes / 3)


def _rough_profiles() -> Spectrum:
    rng, n = np.random.default_rng(3), 512
    power = []
    for _ in range(60):
        segment = _longest(draw_rupture(rng))[1]
        s = np.linspace(0, segment.length, n)
        points = segment.point(s, np.full(n, segment.top))[:, :2]
        deviation = (points - np.array(segment.start)) @ segment.axes[1]
        power.append(_power(deviation / deviation.std()))
    waves = np.arange(1.0, n // 2 + 1)
    return Spectrum(waves, np.mean(power, axis=0), waves**-2.6, 5, n / 6)


def _longest(rupture: Rupture) -> tuple[int, Segment]:
    return max(enumerate(rupture.segments), key=lambda item: item[1].length)


def _spectra_plot(slip: Spectrum, rough: Spectrum) -> Plot:
    figure = Figure(figsize=(8, 3), layout="constrained")
    panels = figure.subplots(1, 2)
    _spectrum_panel(panels[0], slip, "slip along strike")
    _spectrum_panel(panels[1], rough, "roughness of the trace")
    return Plot("spectra", figure, "Power spectra of slip and of roughness along strike")


def _spectrum_panel(axes: Axes, spectrum: Spectrum, title: str) -> None:
    waves, law = spectrum.waves, spectrum._replace(power=spectrum.expected)
    chosen = (waves >= spectrum.low) & (waves <= spectrum.high)
    scale = np.exp(np.log(spectrum.power / law.power)[chosen].mean())
    axes.loglog(waves, spectrum.power, lw=1, color="#1b6ca8", label=f"found: {spectrum.slope:.2f}")
    axes.loglog(waves, scale * law.power, "k--", lw=1, label=f"expected: {law.slope:.2f}")
    axes.axvspan(spectrum.low, spectrum.high, color="k", alpha=0.06, lw=0)
    axes.set(xlabel="cycles per length", title=title)
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)
