"""Interferometric coherence from detected radar images, which have no phase.

What is left of it in intensities is the square of its magnitude (see
:mod:`groundshift.coherent.laws`). `Interferometric` is that of complex images, to compare with.
"""

from groundshift.coherent.calibrated import Calibrated
from groundshift.coherent.estimators import (
    AmplitudeCorrelation,
    AnyEstimator,
    GuarnieriPrati,
    Likelihood,
    LogCorrelation,
    LogRatio,
    Pearson,
)
from groundshift.coherent.interferometric import Interferometric
from groundshift.coherent.learned import Learned
from groundshift.coherent.speckle import Speckle, looks_between, own_looks
from groundshift.coherent.tracking import Tracked, Tracking
from groundshift.coherent.windowed import Coherence, Windowed

__all__ = [
    "AmplitudeCorrelation",
    "AnyEstimator",
    "Calibrated",
    "Coherence",
    "GuarnieriPrati",
    "Interferometric",
    "Learned",
    "Likelihood",
    "LogCorrelation",
    "LogRatio",
    "Pearson",
    "Speckle",
    "Tracked",
    "Tracking",
    "Windowed",
    "looks_between",
    "own_looks",
]
