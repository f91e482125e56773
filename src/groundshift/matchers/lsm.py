"""Least-squares matching: one Gauss-Newton step of correlation around a prior, per window.

Where a prior is good to about a pixel, this reaches the maximum of the correlation without ever
sampling it: the secondary is deformed by the prior, and the step to the maximum follows from its
gradient there (Lucas & Kanade 1981; Gruen 1985). Chain it after a coarse search with
`CoarseToFine`, twice or three times. On alias-free images it attains the limit of incoherent
tracking; on images sampled too coarsely it locks to whole pixels like any estimator that trusts
high frequencies.

The step is taken in the form that treats the two images alike,

    s = 1/2 sum(a grad b - b grad a),   K = sum(grad a grad b^T),   step = K^-1 s,

so that swapping them changes the sign and nothing else. Against the usual sum of squared
differences it leaves out ``a grad a - b grad b``, which is pure noise at the rim of the window
when the images decorrelate.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.matchers.follow import WARP_CELL, deform, follow_margin
from groundshift.matchers.ncc import LEAST_SHARE
from groundshift.matchers.peak import law_sigma
from groundshift.matchers.windows import base_cell, cell_sum, centred, up_to, window_sums
from groundshift.types import Estimate

STEADY = 68
"""Curvature is shared with a window of this side, pixels: in a small one it is mostly noise."""


class Sums(NamedTuple):
    """Sums over cells or windows, of the pixels known in both images."""

    n: Tensor
    a: Tensor
    b: Tensor
    aa: Tensor
    bb: Tensor
    ab: Tensor
    ay: Tensor
    ax: Tensor
    by: Tensor
    bx: Tensor
    score_y: Tensor
    score_x: Tensor
    kyy: Tensor
    kyx: Tensor
    kxx: Tensor
    fy: Tensor
    fx: Tensor


@dataclass(frozen=True)
class LeastSquares:
    """One least-squares step around the prior.

    Parameters
    ----------
    window
        Side of the square window, pixels.
    stride
        Pixels between results.
    reach
        Largest prior displacement that is followed, pixels.
    limit
        Longest step, pixels: beyond about a speckle or a grain of texture the gradient says
        nothing.
    """

    window: int = 36
    stride: int = 4
    reach: int = 0
    limit: float = 1.0

    def __post_init__(self) -> None:
        """Refuse windows that cannot be centred."""
        base_cell(self.stride, (self.window,))

    @property
    def context(self) -> int:
        """Pixels of reference, and of prior, used beyond the area reported on."""
        return self.context_of((self.window,))

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return self.halo_of((self.window,))

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return math.lcm(self.stride, WARP_CELL)

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return 160

    def context_of(self, windows: tuple[int, ...]) -> int:
        """Pixels of context for several window sizes."""
        return up_to(max(0, (max(*windows, STEADY) - self.stride) // 2), self.period)

    def halo_of(self, windows: tuple[int, ...]) -> int:
        """Context pixels for several window sizes."""
        return self.context_of(windows) + follow_margin(self.reach)

    def __call__(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None = None
    ) -> Estimate:
        """Match; see :class:`groundshift.types.Matcher`."""
        return self.match(reference, secondary, prior, self.halo)

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        return self.match_windows(reference, secondary, prior, margin, (self.window,))[0]

    def match_windows(
        self,
        reference: Tensor,
        secondary: Tensor,
        prior: Tensor | None,
        margin: int,
        windows: tuple[int, ...],
    ) -> list[Estimate]:
        """Match with several window sizes that share the deformed image and its products."""
        context = self.context_of(windows)
        sizes = (*windows, STEADY if (STEADY - self.stride) % 2 == 0 else STEADY + 1)
        base = base_cell(self.stride, sizes)
        sums = self._sums(reference, secondary, prior, margin, context, base)
        in_windows = [
            Sums(*(window_sums(plane, w, self.stride, base, context) for plane in sums))
            for w in sizes
        ]
        steady = _central(in_windows.pop())
        return [
            self._solve(_central(found), steady, window)
            for found, window in zip(in_windows, windows, strict=True)
        ]

    def _sums(
        self,
        reference: Tensor,
        secondary: Tensor,
        prior: Tensor | None,
        margin: int,
        context: int,
        base: int,
    ) -> Sums:
        if prior is None:
            prior = reference.new_zeros(2, *reference.shape)
        a, _ = deform(centred(reference), torch.zeros_like(prior), margin, context)
        b, flow = deform(centred(secondary), prior, margin, context)
        known = (~(torch.isnan(a.value) | torch.isnan(b.value))).float()
        (a0, ay, ax), (b0, by, bx) = (
            (torch.nan_to_num(plane) * known for plane in warped) for warped in (a, b)
        )
        planes = (
            known, a0, b0, a0 * a0, b0 * b0, a0 * b0, ay, ax, by, bx,
            0.5 * (a0 * by - b0 * ay), 0.5 * (a0 * bx - b0 * ax),
            ay * by, 0.5 * (ay * bx + ax * by), ax * bx,
            flow[0] * known, flow[1] * known,
        )  # fmt: skip
        return Sums(*(cell_sum(plane, base) for plane in planes))

    def _solve(self, s: Sums, steady: Sums, window: int) -> Estimate:
        share = (s.n / steady.n.clamp(min=1))
        # Half the window's own curvature, half that of its surroundings.
        kyy, kyx, kxx = (
            0.5 * own + 0.5 * wide * share
            for own, wide in ((s.kyy, steady.kyy), (s.kyx, steady.kyx), (s.kxx, steady.kxx))
        )
        determinant = kyy * kxx - kyx * kyx
        peaked = (kyy > 0) & (kxx > 0) & (determinant > 0.02 * kyy * kxx)
        safe = torch.where(peaked, determinant, 1.0)
        dy = (kxx * s.score_y - kyx * s.score_x) / safe
        dx = (kyy * s.score_x - kyx * s.score_y) / safe
        rho = s.ab / (s.aa.clamp(min=1e-12) * s.bb.clamp(min=1e-12)).sqrt()
        flat = torch.minimum(s.aa, s.bb) < 1e-6 * window**2
        good = peaked & ~flat & (s.n >= LEAST_SHARE * window**2) & (rho > 0)
        long = torch.maximum(dy.abs(), dx.abs()) > self.limit
        signal = steady.ab.clamp(min=1e-9)
        sigma_y, sigma_x = law_sigma(rho, steady.kyy / signal, steady.kxx / signal, s.n)
        planes = (s.fy / s.n + dy, s.fx / s.n + dx, sigma_y, sigma_x, rho.clamp(0, 1))
        return Estimate(*(torch.where(good & ~long, plane, torch.nan) for plane in planes))


def _central(s: Sums) -> Sums:
    """Sums about the window's means, so that gain and offset drop out."""
    n = s.n.clamp(min=1)
    return s._replace(
        aa=s.aa - s.a * s.a / n,
        bb=s.bb - s.b * s.b / n,
        ab=s.ab - s.a * s.b / n,
        score_y=s.score_y - 0.5 * (s.a * s.by - s.b * s.ay) / n,
        score_x=s.score_x - 0.5 * (s.a * s.bx - s.b * s.ax) / n,
        kyy=s.kyy - s.ay * s.by / n,
        kyx=s.kyx - 0.5 * (s.ay * s.bx + s.ax * s.by) / n,
        kxx=s.kxx - s.ax * s.bx / n,
    )
