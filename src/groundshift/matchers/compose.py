"""Matchers made of matchers.

Every combination is again a matcher, so they nest. A *stage* is a matcher that also offers
``match(reference, secondary, prior, margin)`` for inputs with more context than its halo, and
tells its ``context`` (pixels of reference and prior used around the area reported on) and its
``search`` (how far a result can be from the prior): from these three the halo of any combination
follows exactly.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from groundshift.errors import MatcherError
from groundshift.matchers.follow import follow_margin
from groundshift.matchers.fuse import Agreement, expected_error_fusion
from groundshift.matchers.lsm import LeastSquares
from groundshift.matchers.ncc import NCC
from groundshift.matchers.prior import CELLS, as_prior
from groundshift.matchers.windows import Window, base_cell, up_to
from groundshift.types import Estimate


class Stage(Protocol):
    """A matcher that can be part of a combination."""

    @property
    def context(self) -> int: ...
    @property
    def search(self) -> int: ...
    @property
    def halo(self) -> int: ...
    @property
    def stride(self) -> int: ...
    @property
    def period(self) -> int: ...
    @property
    def bytes_per_pixel(self) -> int: ...
    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate: ...


@dataclass(frozen=True)
class CoarseToFine:
    """Each stage searches around what the one before found.

    Parameters
    ----------
    stages
        From coarse to fine; the last one's cells are reported.
    reach
        Largest prior displacement that is followed, pixels.
    """

    stages: tuple[Stage, ...]
    reach: int = 0

    def __post_init__(self) -> None:
        """Refuse an empty chain."""
        if not self.stages:
            raise MatcherError("CoarseToFine needs at least one stage, for example (NCC(),)")

    @property
    def stride(self) -> int:
        """Pixels between results."""
        return self.stages[-1].stride

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return math.lcm(*(stage.period for stage in self.stages))

    @property
    def search(self) -> int:
        """How far a result can be from the prior, pixels."""
        return sum(stage.search for stage in self.stages)

    @cached_property
    def areas(self) -> tuple[int, ...]:
        """Pixels by which each stage reports beyond the area reported on in the end."""
        extra = [0]
        for stage, finer in zip(self.stages[-2::-1], self.stages[:0:-1], strict=True):
            needed = extra[-1] + finer.context + CELLS * stage.stride
            extra.append(up_to(needed, stage.period))
        return tuple(reversed(extra))

    @property
    def context(self) -> int:
        """Pixels of reference, and of prior, used beyond the area reported on."""
        return max(a + stage.context for a, stage in zip(self.areas, self.stages, strict=True))

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        reach, halo = self.reach, 0
        for area, stage in zip(self.areas, self.stages, strict=True):
            own = stage.context + stage.search + (follow_margin(reach) if reach else 0)
            halo = max(halo, area + max(own, stage.halo))
            reach += stage.search
        return halo

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return max(stage.bytes_per_pixel for stage in self.stages)

    def __call__(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None = None
    ) -> Estimate:
        """Match; see :class:`groundshift.types.Matcher`."""
        return self.match(reference, secondary, prior, self.halo)

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        shape = (reference.shape[0], reference.shape[1])
        estimate = None
        for area, stage in zip(self.areas, self.stages, strict=True):
            estimate = match_known_part(stage, reference, secondary, prior, margin - area)
            prior = as_prior(estimate, stage.stride, margin - area, shape)
        assert estimate is not None
        return estimate


def match_known_part(
    stage: Stage, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
) -> Estimate:
    """Run a stage only where the reference has data; the rest is NaN anyway.

    A block at the image's border is mostly padding, and a window centred on padding has less than
    half of its pixels.
    """
    H, W = (n - 2 * margin for n in reference.shape)
    step = stage.period
    known = ~torch.isnan(reference[margin : margin + H, margin : margin + W])
    spans = []
    for dim in (1, 0):
        present = known.any(dim).nonzero()
        if not len(present):
            spans.append((0, 0))
            continue
        first, last = int(present[0]), int(present[-1]) + 1
        spans.append((first // step * step, min(up_to(last, step), known.shape[1 - dim])))
    (top, bottom), (left, right) = spans
    rows, columns = H // stage.stride, W // stage.stride
    planes = [torch.full((rows, columns), torch.nan, device=reference.device) for _ in range(5)]
    if bottom > top and right > left:
        crop = (..., slice(top, bottom + 2 * margin), slice(left, right + 2 * margin))
        found = stage.match(
            reference[crop], secondary[crop], None if prior is None else prior[crop], margin
        )
        cells = (
            slice(top // stage.stride, bottom // stage.stride),
            slice(left // stage.stride, right // stage.stride),
        )
        for plane, part in zip(planes, found, strict=True):
            plane[cells] = part
    return Estimate(*planes)


@dataclass(frozen=True)
class MultiWindow:
    """Several window sizes at once, fused cell by cell: multi-kernel offset tracking.

    Parameters
    ----------
    matcher
        What matches; its own window is not used.
    windows
        Sides of plain windows, pixels.
    quadratic
        Sides of windows in which a quadratic is fitted (`LeastSquares` only).
    agreement
        Neighbours up to this distance, pixels, tell blur from noise.
    """

    matcher: NCC | LeastSquares
    windows: tuple[int, ...] = (12, 20, 28)
    quadratic: tuple[int, ...] = ()
    agreement: int = 20

    def __post_init__(self) -> None:
        """Refuse windows that cannot be centred."""
        if not self.all_windows:
            raise MatcherError("MultiWindow needs at least one window, for example windows=(32,)")
        if self.quadratic and isinstance(self.matcher, NCC):
            raise MatcherError("quadratic windows need LeastSquares; leave quadratic=() with NCC")
        base_cell(self.stride, tuple(window.side for window in self.all_windows))

    @property
    def all_windows(self) -> tuple[Window, ...]:
        """Plain and quadratic windows."""
        plain = tuple(Window(side) for side in self.windows)
        return plain + tuple(Window(side, 2) for side in self.quadratic)

    @property
    def stride(self) -> int:
        """Pixels between results."""
        return self.matcher.stride

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return self.matcher.period

    @property
    def search(self) -> int:
        """How far a result can be from the prior, pixels."""
        return self.matcher.search

    @property
    def _around(self) -> int:
        cells = Agreement.of(self.agreement, self.stride).reach
        return up_to(cells * self.stride, self.period)

    @property
    def context(self) -> int:
        """Pixels of reference, and of prior, used beyond the area reported on."""
        return self._around + self.matcher.context_of(self.all_windows)

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return self._around + self.matcher.halo_of(self.all_windows)

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        cells = 10 * 4 * len(self.all_windows) // self.stride**2
        return self.matcher.bytes_per_pixel + cells

    def __call__(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None = None
    ) -> Estimate:
        """Match; see :class:`groundshift.types.Matcher`."""
        return self.match(reference, secondary, prior, self.halo)

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        windows = self.all_windows
        inner = margin - self._around
        estimates = self.matcher.match_windows(reference, secondary, prior, inner, windows)
        cell = base_cell(self.stride, tuple(window.side for window in windows))
        agreement = Agreement.of(self.agreement, self.stride)
        fused = expected_error_fusion(estimates, windows, cell, agreement)
        cut = self._around // self.stride
        rows, columns = fused.dy.shape
        return Estimate(*(plane[cut : rows - cut, cut : columns - cut] for plane in fused))
