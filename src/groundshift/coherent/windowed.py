"""Coherence of detected images in windows, as a pair operator."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.boxes import box_sum
from groundshift.coherent.estimators import AnyEstimator, Pearson
from groundshift.errors import GroundshiftError
from groundshift.filters import local_mean, magnitude

LEAST = 0.5
"""Share of a window that must be known."""


class Coherence(NamedTuple):
    """Of each cell; NaN is not measured."""

    coherence: Tensor
    """Magnitude, 0 to 1."""
    sigma: Tensor
    """One standard deviation of it; NaN where the estimator cannot say."""
    valid: Tensor
    """1 where it is told from no coherence at all, or nobody asked; 0 where it is not."""


@dataclass(frozen=True)
class Windowed:
    """Squared coherence of two detected images in square windows.

    Parameters
    ----------
    estimator
        How it is estimated.
    window
        Side of the windows, pixels; odd where `stride` is odd, even where it is even.
    stride
        Pixels between results.
    normalise
        Odd side of the mean by which intensity is divided first, so that texture that both dates
        share does not pass for coherence. With 0 it is not; `Likelihood`, which cannot do without,
        takes the mean of the window.
    """

    estimator: AnyEstimator = field(default_factory=Pearson)
    window: int = 9
    stride: int = 1
    normalise: int = 5

    def __post_init__(self) -> None:
        """Refuse windows that cannot be centred."""
        if self.stride < 1 or self.window < 2 or (self.window - self.stride) % 2:
            kind = "odd" if self.stride % 2 else "even"
            raise GroundshiftError(
                f"a window of {self.window} px cannot be centred on cells of {self.stride} px; use "
                f"an {kind} window, for example {self.window + 1}"
            )
        if self.normalise < 0 or (self.normalise and self.normalise % 2 == 0):
            raise GroundshiftError(
                f"normalise={self.normalise} has no middle; pass an odd number of pixels, or 0"
            )

    @property
    def _beside(self) -> int:
        """Pixels of a window beside its cell."""
        return (self.window - self.stride) // 2

    @property
    def _around(self) -> int:
        """Side of the mean that intensity is divided by; 1 if it is not."""
        if self.normalise == 0 and self.estimator.scaled:
            return 2 * (self.window // 2) + 1
        return self.normalise or 1

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return self._beside + self._around // 2

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return self.stride

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return 4 * (8 + 3 * self.estimator.products)

    def squared(self, reference: Tensor, secondary: Tensor) -> Tensor:
        """Squared coherence of two amplitudes ``(H, W)`` that carry `halo` pixels of context."""
        known = torch.isfinite(reference) & torch.isfinite(secondary)
        if self.estimator.positive:
            known &= (reference > 0) & (secondary > 0)
        edge = self._around // 2  # Beyond it, pixels serve as surroundings alone.
        inner = tuple(slice(edge, n - edge) for n in reference.shape)
        levels = [self._level(image, known)[inner] for image in (reference, secondary)]
        there = known[inner]
        planes = self.estimator.of(*levels)
        share = self._mean(there.to(reference.dtype))
        means = self._mean(planes.mul_(there)).div_(share.clamp(min=1e-6))
        return torch.where(share >= LEAST, self.estimator.squared(means), torch.nan)

    def __call__(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None = None
    ) -> Coherence:
        """Estimate; amplitudes carry `halo` pixels of context, a prior is not looked at."""
        squared = self.squared(reference, secondary)
        found = squared.clamp(0, 1).sqrt()
        nothing = torch.full_like(found, math.nan)
        return Coherence(found, nothing, nothing.where(torch.isnan(found), 1.0))

    def _level(self, amplitude: Tensor, known: Tensor) -> Tensor:
        """Intensity, over its mean around; one where it is not known."""
        intensity = torch.where(known, amplitude / magnitude(amplitude), torch.nan).square_()
        if self._around > 1:
            intensity /= local_mean(intensity, self._around).clamp(min=1e-30)
        return torch.where(known, intensity, 1.0)

    def _mean(self, planes: Tensor) -> Tensor:
        return box_sum(planes, self.window, self.stride) / self.window**2
