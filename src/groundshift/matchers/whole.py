"""A matcher, or another pair operator, on images as they are, without tiles."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from groundshift.types import Estimate, Matcher, PairOperator


def match_whole(matcher: Matcher, reference: Tensor, secondary: Tensor) -> Estimate:
    """Run a matcher on whole images ``(H, W)``, surrounded by "no data" as the tiler does.

    Returns
    -------
    Estimate
        One cell for each `stride` pixels begun: those of the last row and column can reach
        beyond the image.
    """
    return run_whole(matcher, reference, secondary)


def run_whole(operator: PairOperator, reference: Tensor, secondary: Tensor) -> Any:
    """Do the same with any pair operator; what it returns is a tuple of planes with names."""
    unit = math.lcm(operator.period, operator.stride)
    rows, columns = reference.shape
    edge = operator.halo
    sides = (edge, edge + (-columns) % unit, edge, edge + (-rows) % unit)
    images = (pad(image, sides, value=torch.nan) for image in (reference, secondary))
    keep = -(-rows // operator.stride), -(-columns // operator.stride)
    run: Any = operator
    found = run(*images)
    return type(found)(*(plane[: keep[0], : keep[1]] for plane in found))
