"""Vectors that are plainly wrong, counted where two methods give equally many."""

import torch
from torch import Tensor

from groundshift.metrics import OUTLIER_RESIDUAL, median_residual, outliers
from groundshift.types import Estimate

TEXT = """An outlier is a vector with a normalised median residual above 3 (Westerweel & Scarano
2005, 5 x 5 neighbours, 0.1 px, of errors, so that real gradients are none), or one that is wrong by
more than 1 px. "Raw" is all that fixed windows give, "tested" what of it the same test on the
displacement itself leaves, as speckle tracking is used. Whichever of the two has more results is
cut, by its own sigma, to as many as the other has: "kept" is that share of cells."""


def passing(found: Estimate, there: Tensor) -> Tensor:
    """Cells that agree with their neighbours, of those that are looked at."""
    alone = torch.stack([found.dy, found.dx]).where(there, torch.nan)
    return there & (median_residual(alone) <= OUTLIER_RESIDUAL)


def wrong(found: Estimate, where: Tensor, count: int, truth: Tensor) -> int:
    """Count the outliers among the `count` cells of the smallest sigma, of those at `where`."""
    sigma = torch.hypot(found.sigma_dy, found.sigma_dx).where(where, torch.nan)
    order = sigma.flatten().nan_to_num(torch.inf).argsort()[:count]
    chosen = torch.zeros_like(where).flatten()
    chosen[order] = True
    chosen = chosen.reshape(where.shape)
    flow = torch.stack([found.dy, found.dx]).where(chosen, torch.nan)
    return int((outliers(flow, truth) & chosen).sum())
