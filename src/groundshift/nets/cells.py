"""Cells of evidence and squares of constant displacement, means over windows of them, and strips.

What a whole image needs in between would not fit into the processor's caches, and where it is large
not into memory: work goes strip by strip, and gives the same however it is cut.
"""

from collections.abc import Iterator

from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from groundshift.boxes import box_sum
from groundshift.interpolate import in_steps
from groundshift.matchers.windows import up_to

CELL = 2
"""Pixels of a cell of evidence each way."""
WARP = 4
"""The displacement is held constant over squares of this many pixels."""
LONGEST = 1.5
"""Pixels: beyond, a gradient says nothing."""


def squares_of(flow: Tensor) -> Tensor:
    """Displacement of squares, in steps that make it cheap to follow: nothing else depends on it.

    What is found is told from there, however it is rounded.
    """
    return in_steps(avg_pool2d(flow, WARP))


def mean(planes: Tensor, side: int) -> Tensor:
    """Mean over odd windows; outside of the image is zero."""
    return mean_within(pad(planes, (side // 2,) * 4), side, side // 2)


def mean_within(planes: Tensor, side: int, around: int) -> Tensor:
    """Mean over odd windows of planes that carry what lies `around` on each side."""
    edge = around - side // 2
    rows, columns = planes.shape[-2:]
    return box_sum(planes[..., edge : rows - edge, edge : columns - edge], side) / side**2


def with_context(planes: Tensor, rows: slice, around: int) -> Tensor:
    """Cut rows with what lies `around` them on each side; outside of the image is zero."""
    first, last = rows.start - around, rows.stop + around
    there = slice(max(0, first), min(planes.shape[-2], last))
    return pad(planes[..., there, :], (around, around, there.start - first, last - there.stop))


def strips(rows: int, across: int, area: int, step: int) -> Iterator[slice]:
    """Cut rows, in steps, into strips of about an area, each row as long as given."""
    height = max(step, up_to(area // across, step))
    for first in range(0, rows, height):
        yield slice(first, min(first + height, rows))


def repeat(planes: Tensor, times: int) -> Tensor:
    """Enlarge the last two dimensions."""
    return planes.repeat_interleave(times, -1).repeat_interleave(times, -2)
