"""A trained net as a matcher: it refines what a search left, pixel by pixel."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from groundshift.errors import MatcherError
from groundshift.matchers.compose import CoarseToFine, Filtered, MultiWindow
from groundshift.matchers.follow import follow_margin
from groundshift.matchers.ncc import NCC
from groundshift.matchers.peak import PRECISION, Gaussian
from groundshift.matchers.presets import CERTAIN, STRIDES, WHITEN, searched, wide
from groundshift.matchers.stage import Called, where
from groundshift.matchers.windows import up_to
from groundshift.nets.area import planes_of
from groundshift.nets.calibrated import UNCALIBRATED, calibrated
from groundshift.nets.cells import LONGEST
from groundshift.nets.fusion import PERIOD, Fusion, reach
from groundshift.nets.guess import GAP, SQUARE, filled
from groundshift.nets.parts import Cuts
from groundshift.nets.regress import Regress
from groundshift.nets.weights import STANDARD, load
from groundshift.types import Estimate, Matcher

PLANES = 6
"""Displacement, variances, probability of no measurement, and what counts."""
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
        images = reference, secondary, prior
        planes = planes_of(self._found, PLANES, PERIOD, self.context, images, margin)
        if self.stride > 1:
            planes = avg_pool2d(planes, self.stride)
        dy, dx, var_y, var_x, doubt, there = planes.unbind(0)
        sigma_y, sigma_x = (variance.sqrt().clamp(min=PRECISION) for variance in (var_y, var_x))
        good = (doubt < DOUBT) & (there > DOUBT)
        # Beyond, no gradient leads to what is right: such a result says nothing.
        good &= torch.maximum(sigma_y, sigma_x) <= LONGEST
        return where(good, Estimate(dy, dx, sigma_y, sigma_x, 1 - doubt))

    def _found(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, asked: Cuts
    ) -> Tensor:
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
            images = reference[None], secondary[None], guess[None]
            found = trained.net(*images, self.iterations, asked).predictions[-1]
            variance = calibrated(found.sigma(), factors).square()
            there = (~torch.isnan(reference[asked])).to(variance.dtype)
            return torch.cat([*found.flow, *variance, *found.invalid.sigmoid(), there[None]])


def near() -> MultiWindow:
    """Return what follows the wide search, before the net; images are whitened before.

    It searches as far as that of the default: what is narrow and fast was lost in large windows.
    """
    search = NCC(window=40, search=5, stride=8, peak=Gaussian(), unguided=CERTAIN)
    return MultiWindow(search, windows=(24, 72), agreement=24)


def guessing(search: int) -> CoarseToFine:
    """Search coarse to fine, each 8 px: all that precedes a net, in training as in use.

    Parameters
    ----------
    search
        Largest displacement looked for in each direction, pixels; 4 are looked for in any case.
    """
    return CoarseToFine((wide(search), Filtered(WHITEN, near())))


def learned(weights: str = STANDARD, search: int = 32, stride: int = 1) -> CoarseToFine | Filtered:
    """Whiten, and match by a trained net; first search coarse to fine, if it was trained behind it.

    Parameters
    ----------
    weights
        As for `Refine`.
    search
        Largest displacement looked for in each direction, pixels; 4 are looked for in any case. A
        net that goes without a search finds what it was trained to.
    stride
        Pixels between results: 1, 2, 4, 8 or 16.
    """
    net, details = load(weights)
    own = (
        Refine(weights, stride, net.config.iterations)
        if isinstance(net, Fusion)
        else Regress(weights, stride)
    )
    if details.get("guess") == "none":
        return Filtered(WHITEN, own)
    return CoarseToFine((wide(search), Filtered(WHITEN, CoarseToFine((near(), own)))))


def learned_arguments(matcher: Matcher) -> dict[str, str | int] | None:
    """Return the arguments with which `learned` makes this matcher; None if there are none."""
    search = searched(matcher)
    last: object = matcher
    if isinstance(matcher, CoarseToFine) and search is not None:
        last = matcher.stages[-1]
    net = last.matcher if isinstance(last, Filtered) else None
    if isinstance(net, CoarseToFine):
        net = net.stages[-1]
    if not isinstance(net, Refine | Regress):
        return None
    sought = {} if search is None else {"search": search}
    arguments = {"weights": net.weights, **sought, "stride": net.stride}
    try:
        made = learned(**arguments)  # type: ignore[arg-type]
    except MatcherError:  # the weights are elsewhere
        return None
    return arguments if made == matcher else None
