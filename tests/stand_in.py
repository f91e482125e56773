"""A cheap pair operator for tests of what surrounds the matchers."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from groundshift.types import Estimate


@dataclass(frozen=True)
class LocalMean:
    """Reports local means around each cell, and the prior it was given: NaN-aware, exact.

    Not a matcher: a function of everything in reach of a cell, so that a wrong halo, offset or
    padding shows. ``period`` cells of ``stride`` pixels differ in weight.
    """

    halo: int = 3
    stride: int = 2
    period: int = 4
    calls: list = field(default_factory=list, compare=False, repr=False)
    spy: Callable[[Tensor, Tensor, Tensor | None], object] | None = field(
        default=None, compare=False, repr=False
    )

    def __call__(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None = None
    ) -> Estimate:
        self.calls.append(tuple(reference.shape))
        if self.spy:
            self.spy(reference, secondary, prior)
        means = [self._mean(image) for image in (reference, secondary)]
        blank = torch.where(means[0].isnan() | means[1].isnan(), torch.nan, 0.0)
        if prior is None:
            prior = torch.zeros(2, *reference.shape)
        dy, dx = (self._mean(plane) for plane in prior)
        phase = torch.arange(means[0].shape[0]) % (self.period // self.stride)
        return Estimate(
            dy=means[0] + phase[:, None] + blank,
            dx=means[1] - means[0],
            sigma_dy=dy.float() + blank,
            sigma_dx=dx.float() + blank,
            score=1 + blank,
        )

    def _mean(self, image: Tensor) -> Tensor:
        """In double precision: sums of integers are exact, and can be compared bit by bit."""
        known = ~image.isnan()
        size = self.stride + 2 * self.halo
        total, count = (
            avg_pool2d(plane.double()[None, None], size, self.stride, divisor_override=1)[0, 0]
            for plane in (torch.where(known, image, 0), known)
        )
        return (total / count).float()
