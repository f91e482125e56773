"""What a matcher offers to be part of a combination."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from groundshift.matchers.windows import up_to
from groundshift.types import Estimate


class Stage(Protocol):
    """A matcher that can be part of a combination.

    Besides the contract of :class:`groundshift.types.Matcher` it matches inputs with more context
    than its halo, so that the prior has room to lead away, and tells two more integers from which
    the halo of any combination follows exactly.
    """

    @property
    def context(self) -> int:
        """Pixels of reference, and of prior, used beyond the area reported on."""
        ...

    @property
    def search(self) -> int:
        """How far a result can be from the prior, pixels."""
        ...

    @property
    def halo(self) -> int:
        """Context pixels needed on each side, with a prior of at most its `reach`."""
        ...

    @property
    def stride(self) -> int:
        """Pixels between results."""
        ...

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        ...

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        ...

    def bytes_of(self, rows: int, columns: int) -> int:
        """Working memory of a block that is reported on, without its halo in pixels."""
        ...

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        ...


class Called:
    """Makes a stage a matcher: it is called with inputs that carry exactly its halo."""

    def bytes_of(self: Stage, rows: int, columns: int) -> int:
        """Working memory of a block that is reported on, an upper estimate.

        Parameters
        ----------
        rows, columns
            Of the block without its halo, pixels.
        """
        return self.bytes_per_pixel * (rows + 2 * self.halo) * (columns + 2 * self.halo)

    def __call__(
        self: Stage, reference: Tensor, secondary: Tensor, prior: Tensor | None = None
    ) -> Estimate:
        """Match; see :class:`groundshift.types.Matcher`."""
        return self.match(reference, secondary, prior, self.halo)


Match = Callable[[Tensor, Tensor, Tensor | None, int], Sequence[Estimate]]
"""From reference, secondary, prior and margin to estimates."""


def crop(image: Tensor, edge: int) -> Tensor:
    """Take `edge` pixels off every side of the last two dimensions."""
    H, W = image.shape[-2:]
    return image[..., edge : H - edge, edge : W - edge]


def crop_cells(estimate: Estimate, cells: int) -> Estimate:
    """Take `cells` cells off every side."""
    return Estimate(*(crop(plane, cells) for plane in estimate))


def where(keep: Tensor, estimate: Estimate) -> Estimate:
    """Keep an estimate where told, NaN elsewhere."""
    return Estimate(*(torch.where(keep, plane, torch.nan) for plane in estimate))


def known_part(image: Tensor, period: int = 1) -> tuple[slice, slice] | None:
    """Rows and columns, in whole periods, outside of which there is no data; None without any."""
    return extent(~torch.isnan(image), period)


def extent(wanted: Tensor, period: int = 1) -> tuple[slice, slice] | None:
    """Rows and columns, in whole periods, that hold all that is wanted; None without any."""
    cuts = []
    for axis in (1, 0):
        there = wanted.any(axis).nonzero()
        if not len(there):
            return None
        first, last = int(there[0]) // period * period, up_to(int(there[-1]) + 1, period)
        cuts.append(slice(first, min(last, wanted.shape[1 - axis])))
    return cuts[0], cuts[1]


def match_known_part(
    match: Match,
    count: int,
    steps: tuple[int, int],
    images: tuple[Tensor, Tensor, Tensor | None],
    margin: int,
) -> list[Estimate]:
    """Match only where the reference has data; the rest is NaN anyway.

    A block at the image's border is mostly padding, and a window centred on padding has less than
    half of its pixels.

    Parameters
    ----------
    match
        Gives `count` estimates.
    count
        Of the estimates.
    steps
        Stride and period, pixels.
    images
        Reference, secondary and prior, with `margin` pixels of context.
    margin
        Pixels.
    """
    reference = images[0]
    step, period = steps
    H, W = (n - 2 * margin for n in reference.shape)
    estimates = [
        Estimate(
            *(
                torch.full((H // step, W // step), torch.nan, device=reference.device)
                for _ in Estimate._fields
            )
        )
        for _ in range(count)
    ]
    known = known_part(crop(reference, margin), period)
    if known is not None:
        part = (..., *(slice(cut.start, cut.stop + 2 * margin) for cut in known))
        a, b, prior = (None if image is None else image[part] for image in images)
        assert a is not None
        assert b is not None
        cells = tuple(slice(cut.start // step, cut.stop // step) for cut in known)
        for estimate, found in zip(estimates, match(a, b, prior, margin), strict=True):
            for plane, values in zip(estimate, found, strict=True):
                plane[cells] = values
    return estimates
