"""What moves on the other side of a jump: displacements from nearby, tried where one is.

Beside a fault a search is wrong by up to half the jump, and a gradient leads no further than a
speckle. But what is right is found a window away: of the displacements around each place the two
that differ most are tried there, and small windows tell which of them fits. (Propagation, as in
PatchMatch: Barnes et al. 2009.)
"""

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from groundshift.nets.cells import LONGEST, mean_within
from groundshift.nets.looks import Ground

SIDES = 2
AROUND = 13
"""Side of the windows from which displacements are taken, squares of `WARP` pixels: 52 px."""
WINDOWS = (5, 11)
"""Sides of the windows in which they are tried, cells."""
CHANNELS = SIDES * (2 + 3 * len(WINDOWS))
CANDIDATES = SIDES * len(WINDOWS)
DIRECTIONS = ((1.0, 0.0), (0.0, 1.0), (0.7071, 0.7071), (0.7071, -0.7071))
FARTHEST = 4.0
"""Pixels: the net is told no larger difference."""


def extremes(shift: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Find the two displacements around each square that differ most, ``(B, 2, h, w)`` each.

    Parameters
    ----------
    shift
        Displacement of squares, ``(B, 2, h, w)``.
    known
        Squares that count, ``(B, 1, h, w)``: 0 or 1.
    """
    along = torch.stack([y * shift[:, 0] + x * shift[:, 1] for y, x in DIRECTIONS], dim=1)
    nowhere = torch.where(known > 0, 0.0, -torch.inf)
    found = [_highest(sign * along + nowhere) for sign in (1, -1)]
    best = (found[0][0] + found[1][0]).argmax(1, keepdim=True)
    flat = shift.flatten(2)
    sides = []
    for highest, places in found:
        place = places.gather(1, best).flatten(2).expand(-1, 2, -1)
        there = flat.gather(2, place).reshape(shift.shape)
        sides.append(torch.where(highest.gather(1, best) > -torch.inf, there, shift))
    return sides[0], sides[1]


def _highest(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Largest value around each place, and where it is in its plane; along rows, then columns."""
    reach = AROUND // 2
    across, at = max_pool2d(planes, (1, AROUND), 1, (0, reach), return_indices=True)
    value, row = max_pool2d(across, (AROUND, 1), 1, (reach, 0), return_indices=True)
    return value, at.flatten(2).gather(2, row.flatten(2)).reshape(row.shape)


def tried(planes: Tensor, reach: int, away: Tensor, ground: Ground) -> tuple[Tensor, list[Tensor]]:
    """Tell how well a displacement fits, and where it leads.

    Parameters
    ----------
    planes
        Products under it (:mod:`groundshift.nets.products`), with `reach` cells around.
    reach
        Cells.
    away
        How far it is from the running displacement, ``(B, 2, h, w)``, pixels.
    ground
        What the surroundings are like.

    Returns
    -------
    tuple
        Channels for the net, ``(B, CHANNELS / SIDES, h, w)``, and a change of the displacement for
        each window, ``(B, 2, h, w)``.
    """
    kyy, kyx, kxx = ground.curvature.unbind(1)
    kyy, kxx = (k.clamp(min=0) + ground.soft[:, 0] for k in (kyy, kxx))
    determinant = torch.maximum(kyy * kxx - kyx * kyx, 0.02 * kyy * kxx)
    channels, changes = [away.clamp(-FARTHEST, FARTHEST)], []
    for side in WINDOWS:
        n, aa, bb, ab, sy, sx = mean_within(planes, side, reach).unbind(1)
        scale = determinant * n.clamp(min=0.05)
        # By parts: the slope of one image times the other, less nothing on average.
        dy = (kyx * sx - kxx * sy) / scale
        dx = (kyx * sy - kyy * sx) / scale
        step = torch.stack([dy, dx], dim=1).clamp(-LONGEST, LONGEST)
        correlation = ab / (aa * bb).clamp(min=1e-8).sqrt()
        channels += [step, correlation[:, None]]
        changes.append(away + step)
    return torch.cat(channels, dim=1), changes
