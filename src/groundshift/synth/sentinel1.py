"""Radar products of Sentinel-1 in interferometric wide swath mode, from their annotations.

Bandwidths and windows of the three swaths as the processor writes them: the whole band of an SLC,
and one of the five looks of a ground range product (GRDH), which overlap by a quarter. Images of
both are made at the sampling of the product, by :func:`groundshift.synth.radar.acquire`; y is
azimuth and x range.
"""

import math
from typing import NamedTuple

from groundshift.synth.radar import Radar

LIGHT = 299.792458
"""Metres in a microsecond."""
RANGE_RATE = 64.345238
"""Samples of an SLC in a microsecond."""
AZIMUTH_RATE = 486.486
"""Lines of an SLC in a second."""
LINE = 13.94
"""Metres on the ground from one line of an SLC to the next."""
GROUND = 10.0
"""Metres each way, of a pixel of a ground range product."""
LOOKS, OVERLAP = 5, 0.25


class Swath(NamedTuple):
    """What the annotation of a swath says."""

    band: float
    """Along range, MHz."""
    look: float
    """Of one look of a ground range product, MHz."""
    doppler: float
    """Along azimuth, Hz."""
    windows: tuple[float, float]
    """Hamming coefficients of an SLC: range and azimuth."""
    look_windows: tuple[float, float]
    """Of a ground range product."""
    incidence: float
    """In the middle of the swath, degrees."""


SWATHS = {
    1: Swath(56.50, 14.1, 327.0, (0.75, 0.70), (0.70, 0.70), 33.7),
    2: Swath(48.30, 12.1, 313.0, (0.75, 0.75), (0.73, 0.75), 39.0),
    3: Swath(42.79, 10.7, 314.0, (0.75, 0.75), (0.75, 0.75), 43.6),
}


def slc(swath: int = 2) -> Radar:
    """Return the product of an SLC, detected at its own sampling."""
    facts = SWATHS[swath]
    across, along = facts.windows
    azimuth = (facts.doppler / AZIMUTH_RATE, along)
    return Radar(facts.band / RANGE_RATE, across, fine=2, azimuth=azimuth)


def grd(swath: int = 2) -> Radar:
    """Return a ground range product of high resolution."""
    facts = SWATHS[swath]
    across, along = facts.look_windows
    cycles = 2 * facts.look / LIGHT * math.sin(math.radians(facts.incidence))
    metres = LINE * AZIMUTH_RATE / facts.doppler
    return Radar(cycles * GROUND, across, LOOKS, OVERLAP, fine=2, azimuth=(GROUND / metres, along))
