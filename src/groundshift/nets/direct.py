"""What nets have in common that regress a displacement at once.

They see both images standardised, the secondary through a first guess where there is one, and give
what is missing. As published there is none: what they can measure ends where their training did.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from groundshift.interpolate import nearest_cells, shift_cells
from groundshift.nets.any import Direct
from groundshift.nets.cells import WARP, mean, repeat, squares_of
from groundshift.nets.hourglass import enlarged
from groundshift.nets.images import TAPS, Images
from groundshift.nets.microflow import MicroFlow
from groundshift.nets.voxelmorph import carried

ALL = 0.99
"""Share of the pixels around a place that must be known."""
AROUND = 9
"""Side of the windows in which images are correlated under a displacement, squares of `WARP`."""


class Regressed(NamedTuple):
    """What a net, or a stage of one, makes of a pair."""

    shift: Tensor
    """What was followed, ``(B, 2, H, W)``, pixels."""
    flows: list[Tensor]
    """What is missing, ``(B, 2, h, w)``, pixels, from coarse to fine."""
    stride: int
    """Pixels from one value of the finest to the next."""
    known: Tensor
    """Where both images were seen, 0 or 1, ``(B, H, W)``; elsewhere only `shift` is told."""

    @property
    def flow(self) -> Tensor:
        """Displacement of each pixel, ``(B, 2, H, W)``."""
        return self.shift + enlarged(self.flows[-1], self.stride)


def regress(net: Direct, images: Images, guess: Tensor) -> list[Regressed]:
    """Run a net, stage by stage: each follows what the one before found.

    Parameters
    ----------
    net
        The net.
    images
        Both images; sides are multiples of the net's period.
    guess
        Displacement to follow first, ``(B, 2, H, W)``, pixels, without NaN.
    """
    found, flow = [], guess
    for stage in net.stages if isinstance(net, MicroFlow) else [net]:
        shift = squares_of(flow.detach())
        secondary, known = _seen(images, shift)
        pair = torch.stack([images.reference, secondary], 1) * known[:, None]
        flows = stage(pair, known[:, None])
        found.append(Regressed(repeat(shift, WARP), flows, net.stride, known))
        flow = found[-1].flow
    return found


def alike(images: Images, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Correlate both images under a displacement, in windows of 36 px.

    Returns
    -------
    tuple of Tensor
        The correlation and the share of each window that both images show, ``(B, H, W)``.
    """
    return likeness(images.reference, *_seen(images, squares_of(flow)))


def likeness(reference: Tensor, secondary: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Correlate a reference with what is seen of the secondary; as `alike`.

    Parameters
    ----------
    reference, secondary
        Standardised, ``(B, H, W)``.
    known
        Where both are, 0 or 1.
    """
    a, b = reference * known, secondary * known
    products = avg_pool2d(torch.stack([known, a, b, a * a, b * b, a * b], 1), WARP)
    n, a, b, aa, bb, ab = mean(products, AROUND).unbind(1)
    share, n = n, n.clamp(min=1e-6)
    spread = ((aa / n - (a / n) ** 2) * (bb / n - (b / n) ** 2)).clamp(min=1e-12).sqrt()
    return repeat((ab / n - a * b / n**2) / spread, WARP), repeat(share, WARP)


def through(images: Images, flow: Tensor) -> tuple[Tensor, Tensor]:
    """See the secondary through the displacement of each pixel, so that gradients pass.

    Returns
    -------
    tuple of Tensor
        The secondary, and where both images are known, ``(B, H, W)``.
    """
    there = images.inside[..., 1:, 1:]
    seen = carried(images.secondary[:, None], flow, images.margin, "bicubic")[:, 0]
    known = carried(there[:, None], flow.detach(), images.margin)[:, 0] > ALL
    return seen, images.known * known


def _seen(images: Images, shift: Tensor) -> tuple[Tensor, Tensor]:
    """See the secondary through the displacement of squares; and where both images are known."""
    secondary, there = seen(images.secondary, images.inside, shift, images.margin)
    known = images.known * there
    return secondary * known, known


def seen(secondary: Tensor, inside: Tensor, shift: Tensor, margin: int) -> tuple[Tensor, Tensor]:
    """See `Images.secondary` through the displacement of squares of `WARP`; and where it has data.

    Parameters
    ----------
    secondary, inside
        Of :class:`groundshift.nets.images.Images`.
    shift
        ``(B, 2, h, w)``, pixels.
    margin
        Pixels by which the secondary is larger on each side.
    """
    dy, dx = shift.unbind(1)
    there = nearest_cells(inside, dy, dx, WARP, margin + 1)
    return shift_cells(secondary, dy, dx, WARP, margin, TAPS, stepped=True), there
