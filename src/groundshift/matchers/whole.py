"""A matcher on images as they are, without tiles."""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from groundshift.types import Estimate, Matcher


def match_whole(matcher: Matcher, reference: Tensor, secondary: Tensor) -> Estimate:
    """Run a matcher on whole images ``(H, W)``, surrounded by "no data" as the tiler does.

    Returns
    -------
    Estimate
        One cell for each `stride` pixels begun: those of the last row and column can reach
        beyond the image.
    """
    unit = math.lcm(matcher.period, matcher.stride)
    rows, columns = reference.shape
    edge = matcher.halo
    sides = (edge, edge + (-columns) % unit, edge, edge + (-rows) % unit)
    images = (pad(image, sides, value=torch.nan) for image in (reference, secondary))
    keep = -(-rows // matcher.stride), -(-columns // matcher.stride)
    return Estimate(*(plane[: keep[0], : keep[1]] for plane in matcher(*images)))
