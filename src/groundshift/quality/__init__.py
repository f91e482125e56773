"""Clean displacement fields: leave out what is wrong, take away what is no motion, fill gaps.

Each function takes a field (:mod:`groundshift.field`) and returns another one, computed; none
changes its input. Cells that are left out become NaN in ``dx`` and ``dy``, in sigma and score.
"""

from groundshift.quality.gaps import fill
from groundshift.quality.limits import connected, consistent, limit, median_test
from groundshift.quality.stripes import destripe
from groundshift.quality.ties import DEGREES, Stable, stable_statistics, tie

__all__ = [
    "DEGREES",
    "Stable",
    "connected",
    "consistent",
    "destripe",
    "fill",
    "limit",
    "median_test",
    "stable_statistics",
    "tie",
]
