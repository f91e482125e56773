"""Put the second image where it belongs, to a whole pixel, place by place.

A net that is shown small shifts tells coherence as well at one as at another, nearly: what is lost
grows with the shift. Where both images correlate better at another whole pixel than where they are,
the second one is taken from there. Nothing is interpolated.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from groundshift.boxes import box_sum, cell_sum
from groundshift.nets.lagged import NEAR, Levels

SIDE, AROUND = 16, 5
"""Pixels of a place each way, and how many places each way tell its shift together."""
FARTHEST = 2
"""Pixels each way, of the shifts that are looked at."""
BETTER = 0.08
"""By which the correlation must be higher than at no shift, where all of the surroundings are
known: more than chance, of .03 standard deviations."""
CONTEXT = SIDE * (AROUND // 2) + SIDE + FARTHEST + 33 // 2 + NEAR // 2
"""Pixels around a place that it depends on."""


def settled(reference: Tensor, secondary: Tensor) -> Tensor:
    """Return the secondary, each place of 16 px from where it fits the reference best.

    Parameters
    ----------
    reference, secondary
        Amplitudes ``(H, W)``, NaN where not known; sides are multiples of 16.
    """
    known = [torch.isfinite(image) & (image > 0) for image in (reference, secondary)]
    one, other = (
        Levels.of(torch.nan_to_num(image)[None], there[None].to(image.dtype)).rest[0]
        for image, there in zip((reference, secondary), known, strict=True)
    )
    shifts = [
        (dy, dx) for dy in range(-FARTHEST, FARTHEST + 1) for dx in range(-FARTHEST, FARTHEST + 1)
    ]
    H, W = one.shape
    wide = pad(other, (FARTHEST,) * 4)
    power = _around(other**2)
    own = _around(one**2)
    norm = (own * power).clamp(min=1e-12).sqrt()
    none = shifts.index((0, 0))
    found = torch.stack(
        [_around(one * wide[FARTHEST + dy :, FARTHEST + dx :][:H, :W]) / norm for dy, dx in shifts]
    )
    best = found.argmax(0)
    share = _around((known[0] & known[1]).to(one.dtype)) / (SIDE * AROUND) ** 2
    enough = BETTER / share.clamp(min=1e-6).sqrt()
    best = torch.where(found.amax(0) > found[none] + enough, best, none)
    if bool((best == none).all()):
        return secondary
    places = best.repeat_interleave(SIDE, 0).repeat_interleave(SIDE, 1)
    moved = secondary.clone()
    there = pad(secondary, (FARTHEST,) * 4, value=torch.nan)
    for k in best.unique().tolist():
        dy, dx = shifts[k]
        moved = torch.where(places == k, there[FARTHEST + dy :, FARTHEST + dx :][:H, :W], moved)
    return moved


def _around(plane: Tensor) -> Tensor:
    """Sum over each place and those around it."""
    return box_sum(pad(cell_sum(plane, SIDE), (AROUND // 2,) * 4), AROUND)
