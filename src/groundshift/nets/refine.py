"""A trained net as a matcher: it refines what a search left, pixel by pixel."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from groundshift.errors import MatcherError
from groundshift.matchers.compose import CoarseToFine, MultiWindow
from groundshift.matchers.follow import follow_margin
from groundshift.matchers.halved import Halved
from groundshift.matchers.ncc import NCC
from groundshift.matchers.peak import PRECISION, Gaussian
from groundshift.matchers.presets import STRIDES
from groundshift.matchers.stage import Called, crop, where
from groundshift.matchers.windows import up_to
from groundshift.nets.cells import LONGEST
from groundshift.nets.fusion import PERIOD, REACH
from groundshift.nets.guess import GAP, filled
from groundshift.nets.weights import load
from groundshift.types import Estimate

DOUBT = 0.5
"""Probability of not being measurable from which on a pixel is left out."""


@dataclass(frozen=True)
class Refine(Called):
    """A trained net that refines the prior; put a search before it with `CoarseToFine`.

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
        return math.ceil(LONGEST * self.iterations)

    @property
    def context(self) -> int:
        """Pixels of reference, and of prior, used beyond the area reported on."""
        return up_to(self.iterations * REACH + GAP // 2, PERIOD)

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
        area = pad(crop(reference, margin - outer), ends, value=torch.nan)
        guess, known = self._guess(prior, margin - outer, ends, area)
        area = torch.where(known, area, torch.nan)
        planes = area.new_full((5, *area.shape), torch.nan)
        part = _with_data(area)
        if part is not None:
            wide = pad(secondary, ends, value=torch.nan)
            edge = 2 * (margin - outer)
            around = tuple(slice(cut.start, cut.stop + edge) for cut in part)
            planes[(..., *part)] = self._found(area[part], wide[around], guess[(..., *part)])
        planes = planes[:, outer : outer + rows, outer : outer + columns]
        there = (~torch.isnan(crop(reference, margin))).float()[None]
        if self.stride > 1:
            planes, there = (avg_pool2d(each, self.stride) for each in (planes, there))
        dy, dx, var_y, var_x, doubt = planes.unbind(0)
        sigma_y, sigma_x = (variance.sqrt().clamp(min=PRECISION) for variance in (var_y, var_x))
        good = (doubt < DOUBT) & (there[0] > DOUBT)
        good &= torch.maximum(sigma_y, sigma_x) <= self.search
        return where(good, Estimate(dy, dx, sigma_y, sigma_x, 1 - doubt))

    def _found(self, reference: Tensor, secondary: Tensor, guess: Tensor) -> Tensor:
        """Run the net: displacement, variances and the probability of no measurement."""
        trained = load(self.weights, reference.device)
        scale = trained.details.get("temperature", 1.0)
        with torch.inference_mode():
            found = trained.net(reference[None], secondary[None], guess[None], self.iterations)[-1]
            variance = found.variance() * scale**2
            return torch.cat([found.flow, variance, found.invalid.sigmoid()], 1)[0].clone()

    def _guess(
        self, prior: Tensor | None, edge: int, ends: tuple[int, ...], area: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Fill the gaps of a prior from around, and tell where there is one."""
        if prior is None:
            return area.new_zeros(2, *area.shape), torch.ones_like(area, dtype=torch.bool)
        return filled(pad(crop(prior, edge), ends, value=torch.nan))


def _with_data(image: Tensor) -> tuple[slice, slice] | None:
    """Rows and columns, in whole periods, outside of which there is nothing."""
    cuts = []
    for axis in (1, 0):
        there = (~torch.isnan(image)).any(axis).nonzero()
        if not len(there):
            return None
        first, last = int(there[0]) // PERIOD * PERIOD, up_to(int(there[-1]) + 1, PERIOD)
        cuts.append(slice(first, last))
    return cuts[0], cuts[1]


def searched(search: int = 32) -> CoarseToFine:
    """Return the search that precedes a net, in training as in use.

    Parameters
    ----------
    search
        Largest displacement looked for in each direction, pixels; 4 are looked for in any case.
    """
    wide = NCC(window=48, search=max(2, -(-search // 2)), stride=16, peak=Gaussian())
    coarse = Halved(MultiWindow(wide, windows=(16, 48, 80), agreement=16))
    near = NCC(window=40, search=3, stride=8, peak=Gaussian())
    return CoarseToFine((coarse, MultiWindow(near, windows=(24, 40, 72, 104), agreement=24)))


def learned(weights: str, search: int = 32, stride: int = 1) -> CoarseToFine:
    """Search coarse to fine, then refine by a trained net, as often as it was trained to.

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
    return CoarseToFine((*searched(search).stages, Refine(weights, stride, iterations)))
