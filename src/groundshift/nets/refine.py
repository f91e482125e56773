"""A trained net as a matcher: it refines what a search left, pixel by pixel."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from groundshift.errors import MatcherError
from groundshift.matchers.compose import CoarseToFine, Filtered, MultiWindow
from groundshift.matchers.follow import follow_margin
from groundshift.matchers.halved import Halved
from groundshift.matchers.ncc import NCC
from groundshift.matchers.peak import PRECISION, Gaussian
from groundshift.matchers.presets import STRIDES, WHITEN
from groundshift.matchers.stage import Called, crop, known_part, where
from groundshift.matchers.windows import up_to
from groundshift.nets.calibrated import UNCALIBRATED, calibrated
from groundshift.nets.cells import LONGEST
from groundshift.nets.fusion import PERIOD, reach
from groundshift.nets.guess import GAP, SQUARE, filled
from groundshift.nets.weights import STANDARD, load
from groundshift.types import Estimate, Matcher

DOUBT = 0.5
"""Probability of not being measurable from which on a pixel is left out."""


@dataclass(frozen=True)
class Refine(Called):
    """A trained net that refines the prior, in images that were whitened: see `learned`.

    Parameters
    ----------
    weights
        Name of weights that come with groundshift, or the folder of a training run.
    stride
        Pixels between results: 1, 2, 4, 8 or 16. The net itself works on every pixel.
    iterations
        How often the result is refined.
    reach
        Largest prior displacement that is followed, pixels.
    """

    weights: str
    stride: int = 1
    iterations: int = 1
    reach: int = 0

    def __post_init__(self) -> None:
        """Refuse what the net cannot do."""
        if self.stride not in STRIDES:
            raise MatcherError(f"Refine(stride={self.stride}) is not offered; use one of {STRIDES}")
        if self.iterations < 1 or self.reach < 0:
            raise MatcherError("iterations must be at least 1, and reach not negative")

    @property
    def search(self) -> int:
        """How far a result can be from the prior, pixels."""
        return math.ceil(LONGEST * (1 + self.iterations))

    @property
    def context(self) -> int:
        """Pixels of reference, and of prior, used beyond the area reported on."""
        return up_to(reach(self.iterations) + SQUARE * (GAP // 2 + 1), PERIOD)

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return self.context + follow_margin(self.reach + self.search)

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return PERIOD

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return 400

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        outer = self.context
        rows, columns = (n - 2 * margin for n in reference.shape)
        # Whole periods: the net's cells must not depend on where the area ends.
        below, beside = (up_to(n, PERIOD) - n for n in (rows, columns))
        ends = (0, beside, 0, below)
        edge = margin - outer
        area = pad(crop(reference, edge), ends, value=torch.nan)
        part = known_part(area, PERIOD)
        if part is None:
            planes = area.new_zeros(6, rows, columns)
        else:
            around = tuple(slice(cut.start, cut.stop + 2 * edge) for cut in part)
            wide = pad(secondary, ends, value=torch.nan)[around]
            if prior is not None:
                prior = pad(crop(prior, edge), ends, value=torch.nan)[(..., *part)]
            found = self._found(area[part], wide, prior)
            inner = [_inner(cut, outer, n) for cut, n in zip(part, (rows, columns), strict=True)]
            # Only now: what the net needs in between decides the memory.
            planes = area.new_zeros(6, rows, columns)
            planes[:, *(to for to, _ in inner)] = found[:, *(of for _, of in inner)]
        if self.stride > 1:
            planes = avg_pool2d(planes, self.stride)
        dy, dx, var_y, var_x, doubt, there = planes.unbind(0)
        sigma_y, sigma_x = (variance.sqrt().clamp(min=PRECISION) for variance in (var_y, var_x))
        good = (doubt < DOUBT) & (there > DOUBT)
        # Beyond, no gradient leads to what is right: such a result says nothing.
        good &= torch.maximum(sigma_y, sigma_x) <= LONGEST
        return where(good, Estimate(dy, dx, sigma_y, sigma_x, 1 - doubt))

    def _found(self, reference: Tensor, secondary: Tensor, prior: Tensor | None) -> Tensor:
        """Run the net: displacement, variances, probability of no measurement, and what counts."""
        trained = load(self.weights, reference.device)
        factors = trained.details.get("temperatures", UNCALIBRATED)
        with torch.inference_mode():
            if prior is None:
                guess = reference.new_zeros(2, *reference.shape)
            else:
                # What was found beside the data must not depend on where they are cut.
                there = torch.where(torch.isnan(reference), torch.nan, prior)
                guess, known = filled(there)
                reference = torch.where(known, reference, torch.nan)
            found = trained.net(reference[None], secondary[None], guess[None], self.iterations)
            found = found.predictions[-1]
            variance = calibrated(found.sigma(), factors).square()
            there = (~torch.isnan(reference)).to(variance.dtype)
            return torch.cat([*found.flow, *variance, *found.invalid.sigmoid(), there[None]])


def _inner(cut: slice, outer: int, size: int) -> tuple[slice, slice]:
    """Where a part of an area goes in its inner `size`, and what of the part that is."""
    first, last = max(cut.start, outer), min(cut.stop, outer + size)
    last = max(first, last)
    return slice(first - outer, last - outer), slice(first - cut.start, last - cut.start)


def searched(search: int = 32) -> CoarseToFine:
    """Return the search that precedes a net, in training as in use; images are whitened before.

    Parameters
    ----------
    search
        Largest displacement looked for in each direction, pixels; 4 are looked for in any case.
    """
    wide = NCC(window=48, search=max(2, -(-search // 2)), stride=16, peak=Gaussian())
    coarse = Halved(MultiWindow(wide, windows=(16, 48, 80), agreement=16))
    # As far as that of the default: what is narrow and fast was lost in the large windows before.
    near = NCC(window=40, search=5, stride=8, peak=Gaussian())
    return CoarseToFine((coarse, MultiWindow(near, windows=(24, 72), agreement=24)))


def learned(weights: str = STANDARD, search: int = 32, stride: int = 1) -> Filtered:
    """Whiten, search coarse to fine, then refine by a trained net, as often as it was trained to.

    Parameters
    ----------
    weights
        As for `Refine`.
    search
        Largest displacement looked for in each direction, pixels; 4 are looked for in any case.
    stride
        Pixels between results: 1, 2, 4, 8 or 16.
    """
    iterations = load(weights).net.config.iterations
    stages = (*searched(search).stages, Refine(weights, stride, iterations))
    return Filtered(WHITEN, CoarseToFine(stages))


def learned_arguments(matcher: Matcher) -> dict[str, str | int] | None:
    """Return the arguments with which `learned` makes this matcher; None if there are none."""
    inner = matcher.matcher if isinstance(matcher, Filtered) else None
    stages = inner.stages if isinstance(inner, CoarseToFine) else ()
    if not stages or not isinstance(stages[0], Halved) or not isinstance(stages[-1], Refine):
        return None
    net = stages[-1]
    arguments = {"weights": net.weights, "search": stages[0].search, "stride": net.stride}
    try:
        made = learned(net.weights, stages[0].search, net.stride)
    except MatcherError:  # the weights are elsewhere
        return None
    return arguments if made == matcher else None
