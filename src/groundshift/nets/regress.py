"""Nets that regress a displacement at once, as matchers."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from groundshift.errors import MatcherError
from groundshift.matchers.follow import follow_margin
from groundshift.matchers.presets import STRIDES
from groundshift.matchers.stage import Called, where
from groundshift.matchers.windows import up_to
from groundshift.nets.any import Direct
from groundshift.nets.area import planes_of
from groundshift.nets.cells import WARP
from groundshift.nets.coherence import CoherenceNet
from groundshift.nets.direct import AROUND, alike, regress
from groundshift.nets.fusion import Fusion
from groundshift.nets.guess import GAP, SQUARE, filled
from groundshift.nets.images import SURROUNDINGS, TAPS, Images
from groundshift.nets.parts import Cuts
from groundshift.nets.weights import load
from groundshift.types import Estimate

PLANES = 4
"""Displacement, correlation, and what counts."""
LEAST = 0.2
"""Share of a window that both images must show for a result: in a corner they show a quarter."""
FAR = 16
"""Pixels that a net can add to what it starts from; more is seen as no data."""
UNSURE = 1.0
"""Largest sigma that is reported, pixels: where validation errors were larger, images were as alike
as those are by chance that have nothing in common."""
ERRORS = "errors"
"""Detail of weights: pairs of a correlation and the least sigma, pixels, whose intervals hold the
errors of what correlated as much."""
CHANCE = "chance"
"""Detail of weights: the correlation that 5 % of what has nothing in common exceed."""


@dataclass(frozen=True)
class Regress(Called):
    """A trained net that regresses a displacement at once, from both whitened images.

    Sigma follows from what errors were on validation samples where the images, seen through the
    result, correlated as much: the least whose 68 and 95 % intervals both held as much of them.
    There is none before training is complete. Nothing is reported where they correlate no more than
    images of other places do, nor, without a prior, where one of them lacks a pixel or its
    neighbour below or to the right.

    Parameters
    ----------
    weights
        Name of weights that come with groundshift, or the folder of a training run.
    stride
        Pixels between results: 1, 2, 4, 8 or 16.
    reach
        Largest prior displacement that is followed, pixels.
    """

    weights: str
    stride: int = 1
    reach: int = 0

    def __post_init__(self) -> None:
        """Refuse what the net cannot do."""
        if self.stride not in STRIDES:
            raise MatcherError(
                f"Regress(stride={self.stride}) is not offered; use one of {STRIDES}"
            )
        if self.reach < 0:
            raise MatcherError("reach must not be negative")

    @property
    def net(self) -> Direct:
        """The net."""
        net = load(self.weights).net
        if isinstance(net, CoherenceNet):
            raise MatcherError(f"{self.weights} tells coherence; use groundshift coherence")
        if isinstance(net, Fusion):
            raise MatcherError(f"{self.weights} refines what a search found; use learned()")
        return net

    @property
    def search(self) -> int:
        """How far a result can be from the prior, pixels."""
        return FAR

    @property
    def context(self) -> int:
        """Pixels of reference, and of prior, used beyond the area reported on."""
        standard = SQUARE * (SURROUNDINGS // 2 + 1)
        compared = WARP * (AROUND // 2 + 1)
        gaps = SQUARE * (GAP // 2 + 1)
        return up_to(self.net.reach + standard + compared + gaps, self.period)

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return self.context + follow_margin(self.reach + self.search) + TAPS

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return math.lcm(self.net.period, WARP)

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return self.net.bytes_per_pixel + 200

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        images = reference, secondary, prior
        return self.reported(
            planes_of(self._found, PLANES, self.period, self.context, images, margin)
        )

    def reported(self, planes: Tensor) -> Estimate:
        """Return what is reported of displacement, correlation and what counts, of each pixel."""
        if self.stride > 1:
            planes = avg_pool2d(planes, self.stride)
        dy, dx, correlation, there = planes.unbind(0)
        details = load(self.weights).details
        sigma = sigma_of(correlation, details.get(ERRORS, ()))
        good = (there > 0.5) & ~(sigma > UNSURE) & (correlation > details.get(CHANCE, -1.0))
        return where(good, Estimate(dy, dx, sigma, sigma.clone(), correlation.clamp(0, 1)))

    def _found(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, asked: Cuts
    ) -> Tensor:
        """Run the net."""
        net = self.net.to(reference.device)
        with torch.inference_mode():
            guess, known = reference.new_zeros(2, *reference.shape), None
            if prior is not None:
                there = torch.where(torch.isnan(reference), torch.nan, prior)
                guess, known = filled(there)
                reference = torch.where(known, reference, torch.nan)
            images = Images.of(reference[None], secondary[None])
            found = regress(net, images, guess[None])
            flow = found[-1].flow
            correlation, share = alike(images, flow)
            there = ~torch.isnan(reference) & (share > LEAST)
            if prior is None:
                # Where the net saw nothing it tells zero.
                there &= found[0].known > 0
            return torch.cat([*flow, correlation, there.to(correlation.dtype)])[:, *asked]


def sigma_of(correlation: Tensor, table: list[tuple[float, float]] | tuple[()]) -> Tensor:
    """Look errors up, between the entries of a table by interpolation; NaN without one."""
    if not table:
        return torch.full_like(correlation, torch.nan)
    found = torch.full_like(correlation, table[0][1])
    for (low, one), (high, other) in pairwise(table):
        found += ((correlation - low) / (high - low)).clamp(0, 1) * (other - one)
    return found
