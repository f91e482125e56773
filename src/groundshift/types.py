"""The contract between the numerical kernels and everything around them.

A *pair operator* turns two co-registered images into named planes. It sees plain float32 tensors
of shape ``(H, W)`` in which NaN means "no data", and it reports on square cells of ``stride``
pixels. It never pads and never knows whether it looks at a whole scene or at a tile:

* the input carries ``halo`` pixels of context on every side of the area that is reported on,
  so ``H = rows * stride + 2 * halo`` and each plane has shape ``(rows, columns)``;
* cell ``(i, j)`` covers the pixels ``halo + i * stride ... halo + (i + 1) * stride - 1`` of the
  input, and its value belongs to the centre of that square;
* moving the input by ``period`` pixels moves the output by ``period / stride`` cells and changes
  nothing else. ``period`` is a multiple of ``stride``.

A *stack operator* does the same with any number of images at once.

Displacements are in pixels, ``dy`` along rows (downward), ``dx`` along columns (to the right): a
feature at ``(y, x)`` in the reference is at ``(y + dy, x + dx)`` in the secondary. Metres and map
directions belong to :mod:`groundshift.field`.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor


class Estimate(NamedTuple):
    """Displacement per cell, each plane of shape ``(rows, columns)``; NaN is "not measured"."""

    dy: Tensor
    """Displacement along rows, pixels."""
    dx: Tensor
    """Displacement along columns, pixels."""
    sigma_dy: Tensor
    """One standard deviation of ``dy``, pixels; NaN where the method cannot say."""
    sigma_dx: Tensor
    """One standard deviation of ``dx``, pixels; NaN where the method cannot say."""
    score: Tensor
    """Quality of the match, 0 to 1, comparable within one method only."""


@runtime_checkable
class PairOperator(Protocol):
    """Anything that maps two images to named planes and can be tiled (see the module text)."""

    @property
    def halo(self) -> int:
        """Context pixels needed on each side of the area that is reported on."""
        ...

    @property
    def stride(self) -> int:
        """Input pixels per output cell, in both directions."""
        ...

    @property
    def period(self) -> int:
        """Shift of the input, in pixels, that shifts the output and changes nothing else."""
        ...


class StackOperator(PairOperator, Protocol):
    """Maps images of one shape ``(H, W)`` to planes, all of the shape that a pair's would have."""

    @property
    def planes(self) -> int:
        """How many there are."""
        ...

    def __call__(self, images: Sequence[Tensor]) -> Tensor:
        """Return them, ``(planes, rows, columns)``; NaN is "not measured"."""
        ...


@runtime_checkable
class Matcher(PairOperator, Protocol):
    """Finds where each patch of the reference went in the secondary.

    ``prior`` is the expected displacement ``(dy, dx)`` per pixel of the input, shape
    ``(2, H, W)``, where NaN means "no idea": the search is centred on it.
    """

    def __call__(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None = None
    ) -> Estimate:
        """Return one displacement per cell."""
        ...
