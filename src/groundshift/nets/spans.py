"""Which values of a row others follow from: how far the results of a net reach, exactly."""

from typing import NamedTuple


class Span(NamedTuple):
    """Places in a row, from the first to the last."""

    first: int
    last: int

    def around(self, count: int) -> "Span":
        """Add neighbours on both sides, as a convolution does."""
        return Span(self.first - count, self.last + count)

    def union(self, other: "Span") -> "Span":
        """Cover both."""
        return Span(min(self.first, other.first), max(self.last, other.last))

    def coarser(self) -> "Span":
        """Find the places, each of two, that cover these."""
        return Span(self.first // 2, self.last // 2)

    def starts(self, stride: int) -> "Span":
        """Find where these begin among places that are finer by a stride."""
        return Span(stride * self.first, stride * self.last)

    def cells(self, side: int, around: int) -> "Span":
        """Cover whole cells of a side, and as many around them."""
        first, last = self.first // side - around, self.last // side + around
        return Span(first * side, (last + 1) * side - 1)

    def finer(self) -> "Span":
        """Find the two places that each of these covers."""
        return Span(2 * self.first, 2 * self.last + 1)


def reach_of(needed: Span, period: int) -> int:
    """Places beyond a period of results that these follow from."""
    return max(-needed.first, needed.last - period + 1)
