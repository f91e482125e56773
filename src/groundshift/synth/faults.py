"""Earthquake ruptures: how large, where, how rough, and how they slip.

Size follows the self-consistent scaling of Leonard (2010) for interplate earthquakes: the area from
the magnitude, the width from the length, the mean slip from the seismic moment. Long ruptures
consist of segments with steps and bends between them (Wesnousky 2006), as long as the crust is
thick (Klinger 2010), and may branch. Surfaces are self-affine with a Hurst exponent near 0.8
(Candela et al. 2012), slip has a ``k^-2`` spectrum (Herrero & Bernard 1994, Mai & Beroza 2002).

Angles are in radians: strike clockwise from north with the dip to its right, rake as by Aki &
Richards (0 left-lateral, pi/2 reverse, pi right-lateral, -pi/2 normal). Lengths are in metres.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from groundshift.synth.power_law import Plane, interpolate, power_law_field

Style = Literal["strike-slip", "normal", "reverse"]
SHEAR_MODULUS = 3.3e10
"""Of the crust, Pa: the value behind Leonard's relations."""
AREA_SCATTER = 0.2
"""Standard deviation of the decimal logarithm of the area at a magnitude."""
STEPS = 4096
"""Nodes of a random field along a rupture, at most."""


class Size(NamedTuple):
    """Dimensions of a rupture, metres."""

    length: float
    width: float
    slip: float
    """Mean over the area."""


def seismic_moment(magnitude: float) -> float:
    """Moment in N m of a moment magnitude (Hanks & Kanamori 1979, IASPEI constant)."""
    return 10 ** (1.5 * magnitude + 9.1)


def rupture_size(
    magnitude: float, style: Style, max_width: float, area_factor: float = 1.0
) -> Size:
    """Length, width and mean slip of an interplate earthquake (Leonard 2010, tables 5 and 6).

    ``M = log10(area in km2) + 3.99`` for strike-slip and 4.00 for dip-slip; width is
    ``15.0 length^(2/3)`` and ``17.5 length^(2/3)`` in metres, until the crust ends. Earthquakes
    scatter about the mean: an area smaller by a factor slips more by the same factor.

    Examples
    --------
    >>> [round(n / 1e3, 1) for n in rupture_size(7.0, "strike-slip", 19e3)[:2]]
    [53.9, 19.0]
    """
    offset, ratio = (3.99, 15.0) if style == "strike-slip" else (4.00, 17.5)
    area = 1e6 * 10 ** (magnitude - offset) * area_factor
    length = (area / ratio) ** 0.6
    width = min(area / length, max_width)
    return Size(area / width, width, seismic_moment(magnitude) / (SHEAR_MODULUS * area))


def draw_magnitude(
    rng: np.random.Generator, low: float = 6.5, high: float = 7.9, b_value: float = 0.5
) -> float:
    """Draw from the truncated law of Gutenberg & Richter.

    Nature has ``b_value`` 1; a smaller one spends fewer samples on slip below a tenth of a pixel.
    """
    reach = 1 - 10 ** (-b_value * (high - low))
    return low - math.log10(1 - rng.uniform() * reach) / b_value


@dataclass(frozen=True, eq=False)
class Segment:
    """A rough surface over one mean plane."""

    start: tuple[float, float]
    """East and north of the beginning of the upper edge's mean line."""
    strike: float
    dip: float
    length: float
    top: float
    """Depth of the upper edge; 0 breaks the surface."""
    bottom: float
    rake: float
    opening: float
    """Component across the mean plane, relative to slip."""
    share: float
    """Slip relative to that of the main fault."""
    along: float
    """Where on the rupture the segment begins, for its slip."""
    roughness: Plane
    """Horizontal distance from the mean plane along its dip direction, by length and depth."""
    spacing: float
    """Of the nodes of `roughness`."""

    @property
    def axes(self) -> tuple[Plane, Plane]:
        """Horizontal unit vectors along strike and along the dip direction, to its right."""
        s, c = math.sin(self.strike), math.cos(self.strike)
        return np.array([s, c]), np.array([c, -s])

    def point(self, s: Plane, depth: Plane) -> Plane:
        """East, north, up of the surface at a distance along strike and a depth."""
        along, right = self.axes
        across = (depth - self.top) / math.tan(self.dip)
        across = across + interpolate(self.roughness, self.spacing, s, depth - self.top)
        flat = np.array(self.start) + s[..., None] * along + across[..., None] * right
        return np.concatenate([flat, -depth[..., None]], axis=-1)

    @property
    def direction(self) -> Plane:
        """East, north, up of the hanging wall's motion per unit slip: one vector.

        Blocks move as wholes. On a rough surface this is shear with a little opening and closing,
        and leaves no stress at kinks, where slip along each facet would have singular ends.
        """
        (se, sn), (re, rn) = self.axes
        sin, cos = math.sin(self.dip), math.cos(self.dip)
        strike, dip = np.array([se, sn, 0]), np.array([-re * cos, -rn * cos, sin])
        normal = np.array([re * sin, rn * sin, cos])
        shear = math.cos(self.rake) * strike + math.sin(self.rake) * dip
        return shear + self.opening * normal


@dataclass(frozen=True)
class Rupture:
    """The geometry of an earthquake."""

    magnitude: float
    style: Style
    size: Size
    segments: tuple[Segment, ...]
    """Of the main fault, then branches."""


def draw_rupture(
    rng: np.random.Generator,
    magnitude: float | None = None,
    style: Style | None = None,
    buried: float = 0.1,
) -> Rupture:
    """Draw the geometry of an earthquake; the origin is at the middle of its trace.

    Parameters
    ----------
    rng
        Source of randomness.
    magnitude, style
        What is not to be drawn: magnitudes are from :func:`draw_magnitude`, three of five
        earthquakes are strike-slip.
    buried
        Probability that slip stops at a depth of 0.3 to 2 km.
    """
    magnitude = draw_magnitude(rng) if magnitude is None else magnitude
    if style is None:
        styles: tuple[Style, ...] = ("strike-slip", "normal", "reverse")
        style = styles[int(rng.choice(3, p=(0.6, 0.2, 0.2)))]
    degrees = {"strike-slip": (75, 90), "normal": (45, 65), "reverse": (25, 50)}[style]
    dip = math.radians(rng.uniform(*degrees))
    rakes = {"strike-slip": rng.choice((0, 180)), "normal": -90, "reverse": 90}
    rake = math.radians(rakes[style] + rng.normal(0, 10))
    opening = 0.0 if style == "reverse" else rng.uniform(0, 0.1)
    top = rng.uniform(300, 2000) if rng.uniform() < buried else 0.0
    crust = rng.uniform(12e3, 19e3)
    scatter = 10 ** rng.normal(0, AREA_SCATTER)
    size = rupture_size(magnitude, style, (crust - top) / math.sin(dip), scatter)
    shape = _Shape(dip, rake, opening, top, top + size.width * math.sin(dip))
    main = _chain(rng, size.length, rng.uniform(0, 2 * math.pi), shape)
    branches = [_branch(rng, main, size.length) for _ in range(min(2, rng.poisson(0.4)))]
    return Rupture(magnitude, style, size, (*main, *branches))


class _Shape(NamedTuple):
    dip: float
    rake: float
    opening: float
    top: float
    bottom: float

    def segment(
        self,
        rng: np.random.Generator,
        start: tuple[float, float],
        strike: float,
        length: float,
        along: float,
        share: float = 1.0,
    ) -> Segment:
        """Make a segment with a surface of its own."""
        spacing = max(length, self.bottom - self.top) / min(STEPS, max(64, int(length / 20)))
        nodes = [2 + int(n / spacing) for n in (length, self.bottom - self.top)]
        hurst = rng.normal(0.8, 0.05)
        reach = length / (2 * math.pi)
        field = power_law_field((nodes[0], nodes[1]), spacing, 1 + hurst, (reach, reach), rng)
        height = length * 10 ** rng.uniform(-2.7, -1.9)
        dip = min(math.pi / 2, self.dip + math.radians(rng.normal(0, 2)))
        shape = self._replace(dip=dip)
        return Segment(
            start, strike, length=length, along=along, share=share, roughness=height * field,
            spacing=spacing, **shape._asdict(),
        )  # fmt: skip


def _chain(rng: np.random.Generator, length: float, strike: float, shape: _Shape) -> list[Segment]:
    """Put segments one after the other, with steps to the side, overlaps and bends."""
    count = int(min(6, 1 + rng.poisson(length / 20e3 * 0.7)))
    lengths = rng.dirichlet(np.full(count, 5.0)) * length
    at = np.array([math.sin(strike), math.cos(strike)]) * (-length / 2)
    segments: list[Segment] = []
    for number, own in enumerate(lengths):
        bend = strike + math.radians(rng.normal(0, 6)) * (count > 1)
        along = np.array([math.sin(bend), math.cos(bend)])
        if number:
            right = np.array([along[1], -along[0]])
            step = float(np.clip(rng.normal(0, 1000), -4000, 4000))
            at = at + step * right - abs(step) * rng.uniform(0, 1) * along
        begin = float(lengths[:number].sum())
        segments.append(shape.segment(rng, (float(at[0]), float(at[1])), bend, own, begin))
        at = at + own * along
    return segments


def _branch(rng: np.random.Generator, main: list[Segment], length: float) -> Segment:
    """Let a splay leave the main fault at 10 to 35 degrees, with a part of its slip."""
    parent = main[int(rng.integers(len(main)))]
    at = rng.uniform(0.2, 0.8) * parent.length
    origin = parent.point(np.array(at), np.array(parent.top))
    angle = math.radians(rng.uniform(10, 35) * rng.choice((-1, 1)))
    # Deeper down, a splay would run through the main fault: it is shallow.
    bottom = parent.top + (parent.bottom - parent.top) * rng.uniform(0.2, 0.5)
    shape = _Shape(parent.dip, parent.rake, parent.opening, parent.top, bottom)
    own = length * rng.uniform(0.05, 0.2)
    start = (float(origin[0]), float(origin[1]))
    return shape.segment(
        rng, start, parent.strike + angle, own, parent.along + at, rng.uniform(0.2, 0.6)
    )
