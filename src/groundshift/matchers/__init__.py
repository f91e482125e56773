"""Matchers: everything that finds where a patch of the reference went in the secondary.

``AnyMatcher`` is the registry: the command line, the descriptions and the contract tests all
follow from it. Any other object that satisfies :class:`groundshift.types.Matcher` works too.
"""

from groundshift.matchers.compose import CoarseToFine, Filtered, ForwardBackward, MultiWindow
from groundshift.matchers.either import Either
from groundshift.matchers.halved import Halved
from groundshift.matchers.logtv import LogTV
from groundshift.matchers.lsm import LeastSquares
from groundshift.matchers.ncc import NCC
from groundshift.matchers.peak import Gaussian, Sinc
from groundshift.matchers.phase import PhaseCorrelation
from groundshift.matchers.presets import default, multikernel

AnyMatcher = (
    NCC
    | PhaseCorrelation
    | LeastSquares
    | MultiWindow
    | CoarseToFine
    | Either
    | Halved
    | Filtered
    | ForwardBackward
    | LogTV
)
"""Every matcher that comes with the package."""

__all__ = [
    "NCC",
    "AnyMatcher",
    "CoarseToFine",
    "Either",
    "Filtered",
    "ForwardBackward",
    "Gaussian",
    "Halved",
    "LeastSquares",
    "LogTV",
    "MultiWindow",
    "PhaseCorrelation",
    "Sinc",
    "default",
    "multikernel",
]
