"""Cells of evidence and squares of constant displacement, and means over windows of them."""

from torch import Tensor
from torch.nn.functional import pad

from groundshift.matchers.windows import box_sum

CELL = 2
"""Pixels of a cell of evidence each way."""
WARP = 4
"""The displacement is held constant over squares of this many pixels."""
LONGEST = 1.5
"""Pixels: beyond, a gradient says nothing."""


def mean(planes: Tensor, side: int) -> Tensor:
    """Mean over odd windows; outside of the image is zero."""
    reach = side // 2
    return box_sum(pad(planes, (reach,) * 4), side) / side**2


def repeat(planes: Tensor, times: int) -> Tensor:
    """Enlarge the last two dimensions."""
    return planes.repeat_interleave(times, -1).repeat_interleave(times, -2)
