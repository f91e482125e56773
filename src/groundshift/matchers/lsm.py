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
from torch.nn.functional import pad

from groundshift.boxes import box_sum, cell_sum
from groundshift.matchers.follow import WARP_CELL, deform, follow_margin
from groundshift.matchers.ncc import LEAST_SHARE
from groundshift.matchers.peak import PRECISION, significant
from groundshift.matchers.stage import Called, where
from groundshift.matchers.texture import Grain, Texture
from groundshift.matchers.windows import (
    Window,
    base_cell,
    centred,
    quadratic_sums,
    up_to,
    window_sums,
)
from groundshift.types import Estimate

STEADY = 68
"""Curvature is shared with a window of this side, pixels: in a small one it is mostly noise."""

CLOSE = 36
"""A window larger than this, pixels, counts only where one of this side counts: a large one would
bridge a hole."""
BLOCK = 12
"""Noise is taken from the scatter of blocks of this side, pixels: several speckles or grains, so
that what ties neighbouring pixels together is inside."""
QUADRATIC_SHARE = 0.98
"""A quadratic is fitted only to windows that have this share of their pixels."""


class Sums(NamedTuple):
    """Sums over cells or windows, of the pixels known in both images."""

    n: Tensor
    a: Tensor
    b: Tensor
    aa: Tensor
    bb: Tensor
    ab: Tensor
    kyy: Tensor
    kyx: Tensor
    kxx: Tensor
    ay: Tensor
    ax: Tensor
    by: Tensor
    bx: Tensor
    fy: Tensor
    fx: Tensor
    score_y: Tensor
    score_x: Tensor


BENT = slice(9, 17)
"""The members of `Sums` that a quadratic window weighs by its own kernel."""


@dataclass(frozen=True)
class LeastSquares(Called):
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
    false_alarm
        Probability that unrelated images give a result instead of NaN. 1 keeps every step.
    """

    window: int = 36
    stride: int = 4
    reach: int = 0
    limit: float = 1.0
    false_alarm: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse windows that cannot be centred."""
        base_cell(self.stride, (self.window,))

    @property
    def search(self) -> int:
        """How far a result can be from the prior, pixels."""
        return math.ceil(self.limit)

    @property
    def context(self) -> int:
        """Pixels of reference, and of prior, used beyond the area reported on."""
        return self.context_of((Window(self.window),))

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return self.halo_of((Window(self.window),))

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return math.lcm(self.stride, WARP_CELL)

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return 160 + 300 // base_cell(self.stride, (self.window,)) ** 2

    def context_of(self, windows: tuple[Window, ...]) -> int:
        """Pixels of context for several window sizes."""
        side = max(STEADY + 1 + 2 * BLOCK, *(w.side for w in windows))
        return up_to(max(0, (side - self.stride + 1) // 2), self.period)

    def halo_of(self, windows: tuple[Window, ...]) -> int:
        """Context pixels for several window sizes."""
        return self.context_of(windows) + follow_margin(self.reach)

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        return self.match_windows(reference, secondary, prior, margin, (Window(self.window),))[0]

    def match_windows(
        self,
        reference: Tensor,
        secondary: Tensor,
        prior: Tensor | None,
        margin: int,
        windows: tuple[Window, ...],
    ) -> list[Estimate]:
        """Match with several window sizes that share the deformed image and its products."""
        context = self.context_of(windows)
        steady_side = STEADY + (STEADY - self.stride) % 2
        close_side = CLOSE + (CLOSE - self.stride) % 2
        base = base_cell(self.stride, (steady_side, close_side, *(w.side for w in windows)))
        cells = self._cells(reference, secondary, prior, margin, context, base)

        def within(side: int, planes: Tensor) -> Tensor:
            return window_sums(planes, side, self.stride, base, context)

        steady = _central(Sums(*within(steady_side, cells)))
        close = within(close_side, cells[:1])[0] >= LEAST_SHARE * close_side**2
        scatter = Scatter(*within(steady_side, torch.stack(_scatter(cells, base))))
        texture = Texture.of(reference, margin, context, base)
        estimates = []
        for window in windows:
            found, share = Sums(*within(window.side, cells)), 1.0
            if window.order == 2:
                bent, count = quadratic_sums(cells[BENT], window.side, self.stride, base, context)
                found = _bend(found, bent, window)
                share = count * base**2 / window.side**2
            estimate = self._solve(_central(found), steady, scatter, window, share)
            if window.side > close_side:
                estimate = where(close, estimate)
            grain = texture.grain(window.side, self.stride)
            estimates.append(self._certain(estimate, grain))
        return estimates

    def _certain(self, estimate: Estimate, grain: Grain) -> Estimate:
        """Leave out what chance could have found."""
        sure = significant(
            estimate.score, grain.samples, grain[:2], 2 * self.limit, self.false_alarm
        )
        return where(sure, estimate)

    def _cells(
        self,
        reference: Tensor,
        secondary: Tensor,
        prior: Tensor | None,
        margin: int,
        context: int,
        base: int,
    ) -> Tensor:
        """Sum over base cells everything that `Sums` holds, stacked in its order."""
        a, _ = deform(centred(reference), None, margin, context)
        b, flow = deform(centred(secondary), prior, margin, context)
        if flow is None:
            flow = torch.zeros(2, *a.value.shape, device=reference.device)
        known = (~(torch.isnan(a.value) | torch.isnan(b.value))).float()
        (a0, ay, ax), (b0, by, bx) = (
            (torch.nan_to_num(plane) * known for plane in warped) for warped in (a, b)
        )
        planes = Sums(
            n=known,
            a=a0,
            b=b0,
            aa=a0 * a0,
            bb=b0 * b0,
            ab=a0 * b0,
            kyy=ay * by,
            kyx=0.5 * (ay * bx + ax * by),
            kxx=ax * bx,
            ay=ay,
            ax=ax,
            by=by,
            bx=bx,
            fy=flow[0] * known,
            fx=flow[1] * known,
            score_y=0.5 * (a0 * by - b0 * ay),
            score_x=0.5 * (a0 * bx - b0 * ax),
        )
        return torch.stack([cell_sum(plane, base) for plane in planes])

    def _solve(
        self, s: Sums, steady: Sums, scatter: "Scatter", window: Window, share: float
    ) -> Estimate:
        """Step to the maximum, and how far noise moves it.

        `share` is the part of the window's pixels whose plain mean would be as noisy.
        """
        area = window.side**2
        part = s.n / steady.n.clamp(min=1)
        # Half the window's own curvature, half that of its surroundings.
        kyy, kyx, kxx = (
            0.5 * own + 0.5 * wide * part
            for own, wide in ((s.kyy, steady.kyy), (s.kyx, steady.kyx), (s.kxx, steady.kxx))
        )
        determinant = kyy * kxx - kyx * kyx
        peaked = (kyy > 0) & (kxx > 0) & (determinant > 0.02 * kyy * kxx)
        safe = torch.where(peaked, determinant, 1.0)
        dy = (kxx * s.score_y - kyx * s.score_x) / safe
        dx = (kyy * s.score_x - kyx * s.score_y) / safe
        noise_y, noise_x = (noise * s.n / share for noise in scatter.per_pixel(steady))
        sigma_y = (kxx**2 * noise_y + kyx**2 * noise_x).sqrt() / safe
        sigma_x = (kyy**2 * noise_x + kyx**2 * noise_y).sqrt() / safe
        rho = s.ab / (s.aa.clamp(min=1e-12) * s.bb.clamp(min=1e-12)).sqrt()
        flat = torch.minimum(s.aa, s.bb) < 1e-6 * area
        good = peaked & ~flat & (s.n >= LEAST_SHARE * area) & (rho > 0)
        good &= torch.maximum(dy.abs(), dx.abs()) <= self.limit
        estimate = Estimate(
            s.fy / s.n.clamp(min=1) + dy,
            s.fx / s.n.clamp(min=1) + dx,
            sigma_y.clamp(min=PRECISION),
            sigma_x.clamp(min=PRECISION),
            rho.clamp(0, 1),
        )
        return where(good, estimate)


class Scatter(NamedTuple):
    """Second moments over blocks of the score and the curvature, summed over a window."""

    n: Tensor
    score_yy: Tensor
    score_kyy: Tensor
    kyy_kyy: Tensor
    score_xx: Tensor
    score_kxx: Tensor
    kxx_kxx: Tensor

    def per_pixel(self, steady: Sums) -> tuple[Tensor, Tensor]:
        """Variance of the two scores per pixel, after the step that the window itself takes.

        What the score scatters by from block to block, beyond what a common motion explains, is
        its noise, whatever made it: speckle decorrelation, sensor noise, shadows or residual
        strain. No law has to be assumed.
        """
        dy = steady.score_y / steady.kyy.clamp(min=1e-9)
        dx = steady.score_x / steady.kxx.clamp(min=1e-9)
        noise_y = self.score_yy - 2 * dy * self.score_kyy + dy**2 * self.kyy_kyy
        noise_x = self.score_xx - 2 * dx * self.score_kxx + dx**2 * self.kxx_kxx
        n = self.n.clamp(min=1)
        return noise_y.clamp(min=0) / n, noise_x.clamp(min=0) / n


def _scatter(cells: Tensor, base: int) -> Scatter:
    """Moments of blocks around each base cell, for `Scatter` to be summed over windows."""
    size = max(1, round(BLOCK / base)) | 1
    # Two passes of a box make a pyramid. The sums over plain blocks would scatter by what crosses
    # their rims, which cancels between neighbours in a window.
    blocks = box_sum(box_sum(pad(cells, (size - 1,) * 4), size), size)
    s = _central(Sums(*blocks))
    return Scatter(
        s.n * _square_share(size),
        s.score_y**2,
        s.score_y * s.kyy,
        s.kyy**2,
        s.score_x**2,
        s.score_x * s.kxx,
        s.kxx**2,
    )


def _square_share(size: int) -> float:
    """Sum of the squared weights of a pyramid over the sum of its weights."""
    ramp = [min(i, 2 * size - i) for i in range(1, 2 * size)]
    return (sum(r * r for r in ramp) / sum(ramp)) ** 2


def _bend(found: Sums, bent: Tensor, window: Window) -> Sums:
    """Replace a window's sums by those under the kernel of the fitted quadratic.

    A quadratic through a window with holes would extrapolate: such windows count as empty.
    """
    whole = found.n >= QUADRATIC_SHARE * window.side**2
    names = Sums._fields[BENT]
    return found._replace(n=torch.where(whole, found.n, 0.0), **dict(zip(names, bent, strict=True)))


def _central(s: Sums) -> Sums:
    """Take sums about the window's means, so that gain and offset drop out."""
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
