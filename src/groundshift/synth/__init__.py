"""Synthetic pairs whose displacement is known exactly."""

from groundshift.synth.motions import Constant, Fault, Motion, Sum, Waves
from groundshift.synth.sample import Sample, demo_pair, speckle_sample
from groundshift.synth.speckle import speckle, tracking_limit

__all__ = [
    "Constant",
    "Fault",
    "Motion",
    "Sample",
    "Sum",
    "Waves",
    "demo_pair",
    "speckle",
    "speckle_sample",
    "tracking_limit",
]
