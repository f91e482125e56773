"""Interferometric coherence from detected radar images, which have no phase.

What is left of it in intensities is the square of its magnitude (see
:mod:`groundshift.coherence.laws`). `Interferometric` is that of complex images, to compare with.
"""

from groundshift.coherence.calibrated import Calibrated
from groundshift.coherence.estimators import (
    AmplitudeCorrelation,
    AnyEstimator,
    GuarnieriPrati,
    Likelihood,
    LogCorrelation,
    LogRatio,
    Pearson,
)
from groundshift.coherence.interferometric import Interferometric
from groundshift.coherence.speckle import Speckle, looks_between
from groundshift.coherence.windowed import Coherence, Windowed

__all__ = [
    "AmplitudeCorrelation",
    "AnyEstimator",
    "Calibrated",
    "Coherence",
    "GuarnieriPrati",
    "Interferometric",
    "Likelihood",
    "LogCorrelation",
    "LogRatio",
    "Pearson",
    "Speckle",
    "Windowed",
    "looks_between",
]
