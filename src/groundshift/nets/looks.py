"""What windows of several sizes say about the rest of a displacement.

Where the displacement is right to about a speckle, the step that remains follows from products of
one image with the gradient of the other (see :mod:`groundshift.matchers.lsm`). A large window gives
less noise and more blur; the difference of two, against the noise that is expected, tells which it
is. Where it is blur, going on from the larger window through the smaller one removes most of it
(Richardson's extrapolation).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.nets.cells import LONGEST

SOFT, LEAST = 0.05, 2e-4
"""Curvature that is added to every window's: a share of the reference's own, and an absolute one.
Without texture there is no step."""
GRAIN = 1.5
"""Of a step's noise: that of unit texture with unit slope, in one pixel."""
FINEST = 0.003
"""Pixels of noise that are never undercut."""
EVEN, UNEVEN = 0.02, 0.05
"""Eigenvalues of the common structure tensor, one to the other: below the first there is but one
direction whatever the noise, above the second there are two."""
INDEPENDENT = 1000
"""Slopes that tell of noise in the wide window; they are alike within two pixels."""
CHANCE = 3.0
"""Deviations of an eigenvalue that noise may make of nothing."""


class Ground(NamedTuple):
    """What the surroundings of each place are like, ``(B, n, h, w)``."""

    curvature: Tensor
    """Mean products of slopes: yy, yx, xx."""
    soft: Tensor
    """Curvature to add to every window's."""
    noise: Tensor
    """Expected noise of the step of a window of one pixel, pixels."""

    @classmethod
    def of(cls, level: Tensor) -> "Ground":
        """Tell from the means of a wide window over the products."""
        n, aa, bb, ab, kyy, kyx, kxx, _, _, own = level[:, :10].unbind(1)
        share = n.clamp(min=1e-3)
        rho = (ab / (aa * bb).clamp(min=1e-12).sqrt()).clamp(0.05, 0.999)
        slope = (own / share).clamp(min=LEAST)
        noise = GRAIN * (1 - rho**2).sqrt() / (rho * slope)
        soft = SOFT * own + LEAST
        return cls(*(torch.stack(each, 1) for each in ((kyy, kyx, kxx), (soft,), (noise,))))

    def at(self, rows: slice) -> "Ground":
        """Cut some rows."""
        return Ground(*(plane[..., rows, :] for plane in self))

    def channels(self) -> Tensor:
        """Tell nets of it, in numbers of the order of one."""
        curvature = self.curvature[:, ::2].mean(1, keepdim=True).clamp(min=LEAST)
        return torch.cat([curvature.log() + 2, self.noise.log() - math.log(10.0)], 1)


def striped(level: Tensor) -> Tensor:
    """Tell where what both images have in common lies along one direction alone.

    Stripes cannot be located along themselves. The smaller eigenvalue of their common structure
    tensor is nothing, or what noise makes of nothing.

    Parameters
    ----------
    level
        Means of a wide window over the products.

    Returns
    -------
    Tensor
        bool, ``(B, 1, h, w)``.
    """
    n, _, _, _, kyy, kyx, kxx, _, _, own = level[:, :10].unbind(1)
    half, spread = (kyy + kxx) / 2, torch.hypot((kyy - kxx) / 2, kyx)
    noise = (own - half).clamp(min=0) / n.clamp(min=1e-3).sqrt() / INDEPENDENT**0.5
    weak, strong = half - spread, half + spread
    least = torch.maximum(EVEN * strong, CHANCE * noise)
    return ((weak < least) & (weak < UNEVEN * strong))[:, None]


class Look(NamedTuple):
    """What one window says, ``(B, n, h, w)``."""

    whole: Tensor
    """Change of the displacement if it is the same all over the window, ``dy`` first, pixels."""
    rest: Tensor
    """Change if what is missing is the same all over the window, which keeps what is there."""
    correlation: Tensor
    share: Tensor
    """Of the window that is known."""

    @classmethod
    def of(cls, level: Tensor, shift: Tensor, current: Tensor, ground: Ground) -> "Look":
        """Solve for a step.

        Parameters
        ----------
        level
            Means over the window of the products, and of the displacement of squares where it
            counts.
        shift, current
            Displacement of the square and of the cell that is told about.
        ground
            Around.
        """
        n, aa, bb, ab, kyy, kyx, kxx, sy, sx = level[:, :9].unbind(1)
        # Half of the curvature from a wider window: in a small one it is mostly noise.
        own = zip((kyy, kyx, kxx), ground.curvature.unbind(1), strict=True)
        kyy, kyx, kxx = (0.5 * near + 0.5 * wide for near, wide in own)
        soft = ground.soft[:, 0]
        kyy, kxx = kyy.clamp(min=0) + soft, kxx.clamp(min=0) + soft
        determinant = torch.maximum(kyy * kxx - kyx * kyx, 0.02 * kyy * kxx)
        dy = (kxx * sy - kyx * sx) / determinant
        dx = (kyy * sx - kyx * sy) / determinant
        seen = n[:, None] > 0.05
        step = torch.where(seen, torch.stack([dy, dx], dim=1).clamp(-LONGEST, LONGEST), 0.0)
        mean = level[:, -2:] / n.clamp(min=1e-6)[:, None]
        correlation = ab / (aa * bb).clamp(min=1e-12).sqrt().clamp(min=1e-4)
        whole = step + torch.where(seen, mean, shift) - current
        return cls(whole, step, correlation[:, None], n[:, None])


def weighted(planes: Tensor, shift: Tensor) -> Tensor:
    """Add the displacement, where it counts, to the products to average."""
    return torch.cat([planes, planes[:, :1] * shift], dim=1)


def beyond(small: Look, large: Look, ratio: float) -> Tensor:
    """Extrapolate from a window, `ratio` times as large as another, through that one."""
    more = 1 / (ratio**2 - 1)
    return (1 + more) * small.whole - more * large.whole


def channels_of(looks: Sequence[Look], sides: Sequence[int], noise: Tensor) -> list[Tensor]:
    """Tell a net what windows say, in units of the noise that is expected.

    Parameters
    ----------
    looks
        From small to large windows.
    sides
        Of those, pixels.
    noise
        Of a window of one pixel.

    Returns
    -------
    list of Tensor
        ``7 * len(looks) - 2`` planes in all.
    """
    scales = [
        noise / side / look.share.clamp(min=0.05).sqrt() + FINEST
        for look, side in zip(looks, sides, strict=True)
    ]
    told = []
    for look, scale in zip(looks, scales, strict=True):
        told += [_limited(look.whole / scale), _limited(look.rest / scale)]
        told.append(look.correlation)
    for small, large, scale in zip(looks, looks[1:], scales, strict=False):
        told.append(_limited((small.whole - large.whole) / scale))
    return told


def _limited(ratio: Tensor) -> Tensor:
    """Keep what is small, and let nothing be larger than 4."""
    return ratio / (1 + ratio.abs() / 4)


def count(windows: int) -> int:
    """Count the planes of `channels_of`."""
    return 7 * windows - 2
