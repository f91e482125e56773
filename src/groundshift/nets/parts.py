"""Which part of a net's planes is asked for, from level to level: the rest need not be computed."""

from typing import NamedTuple

from torch import Tensor

from groundshift.nets.spans import Span

Cuts = tuple[slice, slice]
"""Rows and columns, with both ends."""


class Part(NamedTuple):
    """Rows and columns of one level, counted from the corner of all that a net is given."""

    rows: Span
    columns: Span

    @classmethod
    def of(cls, shape: tuple[int, int], cuts: Cuts | None = None) -> "Part":
        """Take cuts out of a shape; all of it without them."""
        spans = cuts or tuple(slice(0, n) for n in shape)
        return cls(*(Span(cut.start, cut.stop - 1) for cut in spans))

    def around(self, count: int) -> "Part":
        """Add neighbours on all sides."""
        return Part(*(span.around(count) for span in self))

    def union(self, other: "Part") -> "Part":
        """Cover both."""
        return Part(*(one.union(two) for one, two in zip(self, other, strict=True)))

    def coarser(self) -> "Part":
        """Find the cells, each of two by two, that cover these."""
        return Part(*(span.coarser() for span in self))

    def finer(self) -> "Part":
        """Find the two by two cells that each of these covers."""
        return Part(*(span.finer() for span in self))

    def whole(self, side: int) -> "Part":
        """Cover whole squares of a side."""
        return Part(*(span.cells(side, 0) for span in self))

    def within(self, shape: tuple[int, int]) -> "Part":
        """Leave out what a level of a shape does not have."""
        return Part(
            *(Span(max(s.first, 0), min(s.last, n - 1)) for s, n in zip(self, shape, strict=True))
        )

    def cuts(self, held: "Part | None" = None) -> Cuts:
        """Rows and columns of this part, in planes that hold another, or all."""
        origin = held or Part(Span(0, 0), Span(0, 0))
        rows, columns = (
            slice(span.first - base.first, span.last + 1 - base.first)
            for span, base in zip(self, origin, strict=True)
        )
        return rows, columns

    def out_of(self, planes: Tensor, held: "Part | None" = None) -> Tensor:
        """Cut this part out of planes that hold another, or all."""
        return planes[(..., *self.cuts(held))]

    def of_mask(self, mask: Tensor | None) -> Tensor | None:
        """Cut this part out of a mask of its level; None where all is known."""
        return None if mask is None else self.out_of(mask)
