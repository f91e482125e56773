"""Matchers put together: the one that is used when none is named, and one for labels."""

from groundshift.errors import MatcherError
from groundshift.filters import Whiten
from groundshift.matchers.compose import CoarseToFine, Filtered, ForwardBackward, MultiWindow
from groundshift.matchers.either import Either
from groundshift.matchers.halved import Halved
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
CERTAIN = 1e-6
"""Probability that unrelated images pass the cheap part of that search."""
NEAR = 4.0
"""Pixels by which what the largest windows find may differ from what smaller ones find beside it:
the next stage looks little farther."""


def wide(search: int) -> Filtered:
    """Return the search that everything else begins with: results each 32 px.

    In means of 2 x 2 pixels by windows of 32 and 96 px where these are certain, which is cheap;
    elsewhere in every pixel by windows of 32, 96 and 160 px; where these find nothing, of 288 px.

    Parameters
    ----------
    search
        Largest displacement looked for in each direction, pixels; 4 are looked for in any case.
    """
    search = max(search, 4)
    half = NCC(16, -(-search // 2), stride=16, peak=Gaussian(), false_alarm=CERTAIN)
    cheap = MultiWindow(half, windows=(16, 48), agreement=16)
    whole = NCC(96, search, stride=32, peak=Gaussian())
    large = MultiWindow(whole, windows=(288,), agreement=32)
    several = MultiWindow(whole, windows=(32, 96, 160), agreement=32)
    return Filtered(SEARCHED, Either(Halved(cheap), Either(several, large, NEAR)))


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
    middle = MultiWindow(
        NCC(window=40, search=5, stride=8, peak=Gaussian(), unguided=CERTAIN),
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
    return CoarseToFine((wide(search), Filtered(WHITEN, fine)))


def multikernel(search: int = 32, stride: int = 8) -> ForwardBackward:
    """Track offsets by plain windows of 32, 64 and 128 px, and keep what returns to where it began.

    Multi-kernel offset tracking as it makes labels for nets; less sharp and less dense than
    `default`, and independent of what that does.

    Parameters
    ----------
    search
        Largest displacement looked for in each direction, pixels; 4 are looked for in any case.
    stride
        Pixels between results: 4, 8 or 16.
    """
    if stride not in STRIDES[2:]:
        raise MatcherError(f"multikernel(stride={stride}) is not offered; use 4, 8 or 16")
    fine = MultiWindow(NCC(64, 4, stride), windows=(32, 64, 128), agreement=64)
    return ForwardBackward(CoarseToFine((wide(search), fine)))


def default_arguments(matcher: Matcher) -> dict[str, int] | None:
    """Return the arguments with which `default` makes this matcher; None if there are none.

    Examples
    --------
    >>> default_arguments(default(search=32))
    {'search': 32, 'stride': 4}
    """
    search = searched(matcher)
    if search is None or matcher.stride not in STRIDES:
        return None
    arguments = {"search": search, "stride": matcher.stride}
    return arguments if default(**arguments) == matcher else None


def searched(matcher: Matcher) -> int | None:
    """Return the search of a matcher that begins with `wide`; None if it does not."""
    first = matcher.stages[0] if isinstance(matcher, CoarseToFine) else None
    either = first.matcher if isinstance(first, Filtered) else None
    search = either.otherwise.search if isinstance(either, Either) else None
    return search if search is not None and wide(search) == first else None
