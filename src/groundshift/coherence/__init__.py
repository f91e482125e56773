"""Interferometric coherence from detected radar images, which have no phase.

What is left of it in intensities is the square of its magnitude (see
:mod:`groundshift.coherence.laws`).
"""

from groundshift.coherence.estimators import (
    AmplitudeCorrelation,
    AnyEstimator,
    GuarnieriPrati,
    Likelihood,
    LogCorrelation,
    LogRatio,
    Pearson,
)
from groundshift.coherence.windowed import Coherence, Windowed

__all__ = [
    "AmplitudeCorrelation",
    "AnyEstimator",
    "Coherence",
    "GuarnieriPrati",
    "Likelihood",
    "LogCorrelation",
    "LogRatio",
    "Pearson",
    "Windowed",
]
