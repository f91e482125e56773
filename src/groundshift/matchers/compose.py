"""Matchers made of matchers.

Every combination is again a matcher, and again a :class:`groundshift.matchers.stage.Stage`, so
they nest.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from groundshift.errors import MatcherError
from groundshift.filters import GRID, AnyFilter
from groundshift.interpolate import sample
from groundshift.matchers.follow import follow_margin
from groundshift.matchers.fuse import Agreement, expected_error_fusion
from groundshift.matchers.lsm import LeastSquares
from groundshift.matchers.ncc import NCC
from groundshift.matchers.prior import CELLS, as_prior
from groundshift.matchers.stage import (
    Called,
    Stage,
    crop,
    crop_cells,
    known_part,
    match_known_part,
    where,
)
from groundshift.matchers.windows import Window, base_cell, up_to
from groundshift.types import Estimate

AREA = 1 << 20
"""Pixels that are filtered at once, which limits memory."""
FILTERED = 16
"""Bytes per pixel of both images filtered, and of the strip at hand."""


@dataclass(frozen=True)
class CoarseToFine(Called):
    """Each stage searches around what the one before found.

    Parameters
    ----------
    stages
        From coarse to fine; the last one's cells are reported.
    reach
        Largest displacement of a prior that the images carry context for, pixels; `track` raises
        it to what its prior needs.
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
            halo = max(halo, area + stage.halo + (follow_margin(reach) if reach else 0))
            reach += stage.search
        return halo

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return max(stage.bytes_per_pixel for stage in self.stages)

    def bytes_of(self, rows: int, columns: int) -> int:
        """Working memory of a block; a stage that needs much may need it on little of the halo."""
        return max(
            stage.bytes_of(rows + 2 * area, columns + 2 * area)
            for area, stage in zip(self.areas, self.stages, strict=True)
        )

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        shape = (reference.shape[0], reference.shape[1])
        estimate = None
        for number, stage in enumerate(self.stages, start=1):
            area = self.areas[number - 1]
            (estimate,) = match_known_part(
                lambda *images, stage=stage: (stage.match(*images),),
                1,
                (stage.stride, stage.period),
                (reference, secondary, prior),
                margin - area,
            )
            if number < len(self.stages):
                prior = as_prior(estimate, stage.stride, margin - area, shape)
        assert estimate is not None
        return estimate


@dataclass(frozen=True)
class MultiWindow(Called):
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
    agreement: int = 28

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

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        windows = self.all_windows
        inner = margin - self._around
        estimates = match_known_part(
            lambda a, b, prior, edge: self.matcher.match_windows(a, b, prior, edge, windows),
            len(windows),
            (self.stride, self.period),
            (reference, secondary, prior),
            inner,
        )
        cell = base_cell(self.stride, tuple(window.side for window in windows))
        agreement = Agreement.of(self.agreement, self.stride)
        fused = expected_error_fusion(estimates, windows, cell, self.stride, agreement)
        # An error as large as the search says that nothing was measured.
        sure = torch.maximum(fused.sigma_dy, fused.sigma_dx) <= self.search
        return crop_cells(where(sure, fused), self._around // self.stride)


@dataclass(frozen=True)
class Filtered(Called):
    """Match filtered images.

    Parameters
    ----------
    filter
        Applied to both images first, see :mod:`groundshift.filters`.
    matcher
        What matches the results.
    """

    filter: AnyFilter
    matcher: Stage

    @property
    def stride(self) -> int:
        """Pixels between results."""
        return self.matcher.stride

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return math.lcm(self.matcher.period, GRID)

    @property
    def search(self) -> int:
        """How far a result can be from the prior, pixels."""
        return self.matcher.search

    @property
    def context(self) -> int:
        """Pixels of reference, and of prior, used beyond the area reported on."""
        return self.matcher.context + self.filter.halo

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return self.matcher.halo + self.filter.halo

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return self.matcher.bytes_per_pixel + FILTERED

    def bytes_of(self, rows: int, columns: int) -> int:
        """Working memory of a block: of the matcher, and both images filtered."""
        edge = 2 * self.halo
        return self.matcher.bytes_of(rows, columns) + FILTERED * (rows + edge) * (columns + edge)

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        edge = self.filter.halo
        return self.matcher.match(
            crop(self._filtered(reference, margin), edge),
            crop(self._filtered(secondary, margin), edge),
            None if prior is None else crop(prior, edge),
            margin - edge,
        )

    def _filtered(self, image: Tensor, margin: int) -> Tensor:
        """Filter what is known, as blocks around an image are mostly empty; in strips.

        The grid begins where the area does that is reported on.
        """
        part = known_part(image)
        if part is None:
            return image
        top, left = (margin + (cut.start - margin) // GRID * GRID for cut in part)
        bottom, right = (cut.stop for cut in part)
        # A square that began before the block.
        above, before = max(0, -top), max(0, -left)
        known = pad(image, (before, 0, above, 0), value=torch.nan)
        known = known[top + above : bottom + above, left + before : right + before]
        edge, step = up_to(self.filter.halo, GRID), up_to(AREA // known.shape[1] + 1, GRID)
        found = torch.empty_like(known)
        for first in range(0, len(known), step):
            start, last = max(0, first - edge), min(first + step, len(known))
            strip = self.filter(known[start : last + edge])
            found[first:last] = strip[first - start : last - start]
        around = (left, image.shape[1] - right, top, image.shape[0] - bottom)
        return pad(found, around, value=torch.nan)


@dataclass(frozen=True)
class ForwardBackward(Called):
    """Match both ways and keep what returns to where it started.

    Mismatches rarely agree with their own reverse: this removes outliers that a correlation
    threshold lets pass, for twice the time.

    Parameters
    ----------
    matcher
        What matches.
    tolerance
        Largest accepted distance between start and return, pixels; three predicted deviations are
        accepted in any case.
    """

    matcher: Stage
    tolerance: float = 0.5

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
        reach = self.matcher.halo - self.matcher.context
        return up_to(max(self.search, reach) + self.stride, self.period)

    @property
    def context(self) -> int:
        """Pixels of reference, and of prior, used beyond the area reported on."""
        return self._around + self.matcher.context

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return self._around + self.matcher.halo

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return self.matcher.bytes_per_pixel + 40

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        forward = self.matcher.match(reference, secondary, prior, margin)
        reverse = None if prior is None else -prior
        inner = margin - self._around
        backward = self.matcher.match(secondary, reference, reverse, inner)
        rows, columns = forward.dy.shape
        cells = self._around // self.stride
        y = torch.arange(rows, device=forward.dy.device)[:, None] + cells + forward.dy / self.stride
        x = torch.arange(columns, device=forward.dy.device) + cells + forward.dx / self.stride
        miss_y = (forward.dy + sample(backward.dy, y, x, taps=2)).abs()
        miss_x = (forward.dx + sample(backward.dx, y, x, taps=2)).abs()
        keep = (miss_y <= torch.clamp(3 * forward.sigma_dy, min=self.tolerance)) & (
            miss_x <= torch.clamp(3 * forward.sigma_dx, min=self.tolerance)
        )
        return where(keep, forward)
