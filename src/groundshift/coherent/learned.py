"""A trained net that regresses coherence, as a pair operator."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from groundshift.coherent.calibrated import CERTAIN
from groundshift.coherent.settled import CONTEXT, SIDE, settled
from groundshift.coherent.windowed import Coherence
from groundshift.errors import MatcherError
from groundshift.matchers.windows import up_to
from groundshift.nets.area import planes_of
from groundshift.nets.coherence import CoherenceNet
from groundshift.nets.parts import Cuts
from groundshift.nets.weights import COHERENCE, load

FACTOR = "factor"
"""Detail of weights: times by which sigma is larger than the net says."""
BEYOND = "beyond"
"""Detail of weights: sigmas beyond which a coherence is told from none."""
PLANES = 3


@dataclass(frozen=True)
class Learned:
    """Coherence of each pixel of two detected images, co-registered to two pixels.

    Parameters
    ----------
    weights
        Name of weights that come with groundshift, or the folder of a training run.
    """

    weights: str = COHERENCE
    stride = 1

    @property
    def net(self) -> CoherenceNet:
        """The net."""
        net = load(self.weights).net
        if not isinstance(net, CoherenceNet):
            raise MatcherError(
                f"{self.weights} tells displacement, not coherence; pass the folder of a run of "
                "groundshift train coherence"
            )
        return net

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return up_to(self.net.reach + CONTEXT, self.period)

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return math.lcm(self.net.period, SIDE)

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return self.net.bytes_per_pixel

    def __call__(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None = None
    ) -> Coherence:
        """Estimate; amplitudes carry `halo` pixels of context, a prior is not looked at."""
        images = reference, secondary, None
        planes = planes_of(self._found, PLANES, self.period, self.halo, images, self.halo)
        coherence, sigma, there = planes.unbind(0)
        details = load(self.weights).details
        sigma = sigma * details.get(FACTOR, 1.0)
        beyond = details.get(BEYOND, CERTAIN)
        known = there > 0
        coherence, sigma = (torch.where(known, plane, torch.nan) for plane in (coherence, sigma))
        valid = torch.where(known, (coherence > beyond * sigma).to(sigma.dtype), torch.nan)
        return Coherence(coherence, sigma, valid)

    def _found(
        self, reference: Tensor, secondary: Tensor, _prior: Tensor | None, asked: Cuts
    ) -> Tensor:
        """Run the net on the images where they fit each other best."""
        net = self.net.to(reference.device)
        with torch.inference_mode():
            found = net(reference[None], settled(reference, secondary)[None], asked)
        there = torch.isfinite(reference[asked]) & torch.isfinite(secondary[asked])
        return torch.cat([*found, there[None].to(reference.dtype)])
