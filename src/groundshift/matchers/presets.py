"""The matcher that is used when none is named."""

from groundshift.errors import MatcherError
from groundshift.filters import Whiten
from groundshift.matchers.compose import CoarseToFine, Filtered, MultiWindow
from groundshift.matchers.lsm import LeastSquares
from groundshift.matchers.ncc import NCC
from groundshift.matchers.peak import Gaussian
from groundshift.types import Matcher

STRIDES = (1, 2, 4, 8, 16)
WHITEN = Whiten()
"""What images go through before they are matched."""
SEARCHED = Whiten(0.3)
"""What they go through before a wide search: its windows average noise, and where little is
coherent whitening adds to it."""


def default(search: int = 64, stride: int = 4) -> CoarseToFine:
    """Whiten, then match by several windows, coarse to fine: what ``track`` does without a net.

    Parameters
    ----------
    search
        Largest displacement looked for in each direction, pixels; 4 are looked for in any case.
    stride
        Pixels between results: 1, 2, 4, 8 or 16.
    """
    if stride not in STRIDES:
        raise MatcherError(f"default(stride={stride}) is not offered; use one of {STRIDES}")
    odd = stride % 2
    search = max(search, 4)
    coarse = MultiWindow(
        NCC(window=96, search=search, stride=32, peak=Gaussian()),
        windows=(32, 96, 160),
        agreement=32,
    )
    middle = MultiWindow(
        NCC(window=40, search=5, stride=8, peak=Gaussian()),
        windows=(24, 40, 72, 104),
        agreement=24,
    )
    first = MultiWindow(LeastSquares(stride=4), windows=(12, 20, 28), quadratic=(36, 52, 68, 132))
    last = MultiWindow(
        LeastSquares(window=36 - odd, stride=stride),
        windows=tuple(w - odd for w in (12, 20, 28, 132)),
        quadratic=tuple(w - odd for w in (36, 52, 68, 100, 132)),
    )
    fine = CoarseToFine((middle, first, last))
    return CoarseToFine((Filtered(SEARCHED, coarse), Filtered(WHITEN, fine)))


def default_arguments(matcher: Matcher) -> dict[str, int] | None:
    """Return the arguments with which `default` makes this matcher; None if there are none.

    Examples
    --------
    >>> default_arguments(default(search=32))
    {'search': 32, 'stride': 4}
    """
    first = matcher.stages[0] if isinstance(matcher, CoarseToFine) else None
    coarse = first.matcher if isinstance(first, Filtered) else None
    if not isinstance(coarse, MultiWindow) or matcher.stride not in STRIDES:
        return None
    arguments = {"search": coarse.search, "stride": matcher.stride}
    return arguments if default(**arguments) == matcher else None
