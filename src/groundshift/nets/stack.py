"""All pairs of a co-registered stack by a net that looks at each image by itself."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.functional import pad

from groundshift.errors import MatcherError
from groundshift.matchers.compose import Filtered
from groundshift.matchers.follow import with_neighbours
from groundshift.matchers.stage import extent
from groundshift.matchers.windows import up_to
from groundshift.nets.area import inner_of
from groundshift.nets.cells import squares_of
from groundshift.nets.direct import likeness, seen
from groundshift.nets.images import TAPS, inside_of, standardised
from groundshift.nets.regress import LEAST, PLANES, Regress
from groundshift.nets.voxelmorph import VoxelMorph
from groundshift.types import Estimate


class _Seen(NamedTuple):
    """Of one image, ``(1, H, W)``."""

    image: Tensor
    """Whitened and standardised, 0 where not known."""
    known: Tensor
    whole: Tensor
    """Known, and with known neighbours below and to the right."""
    inside: Tensor
    """See :class:`groundshift.nets.images.Images`."""
    levels: list[Tensor]
    """What the net sees of it."""


@dataclass(frozen=True)
class Stacked:
    """Matches pairs of a stack, as a matcher does one by one; each image is encoded once.

    Nothing is searched for: displacements are those that the net was trained to find without a
    first guess, a few pixels. A stack operator (:class:`groundshift.types.StackOperator`).

    Parameters
    ----------
    matcher
        Whitens, and runs a net of the family VoxelMorph; see `stacked`.
    images
        How many there are.
    pairs
        Numbers of the reference and the secondary of each.
    """

    matcher: Filtered
    images: int
    pairs: tuple[tuple[int, int], ...]

    @property
    def stride(self) -> int:
        """Pixels from one result to the next."""
        return self.matcher.stride

    @property
    def period(self) -> int:
        """Shift of the images that shifts the results alike, pixels."""
        return math.lcm(self.matcher.period, self.stride)

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return up_to(self.matcher.halo, self.period)

    @property
    def planes(self) -> int:
        """Of all pairs."""
        return len(Estimate._fields) * len(self.pairs)

    def bytes_of(self, rows: int, columns: int) -> int:
        """Working memory of a block that is reported on, without its halo; an upper estimate."""
        around = (rows + 2 * self.halo) * (columns + 2 * self.halo)
        results = 2 * 4 * self.planes * (rows // self.stride) * (columns // self.stride)
        # The image twice, as it is and padded, and of `_Seen` three planes and what the net sees.
        image = 2 * 4 + 3 * 4 + self._net.bytes_of_image
        return around * (self.matcher.bytes_per_pixel + self.images * image) + results

    @property
    def _regress(self) -> Regress:
        return cast(Regress, self.matcher.matcher)

    @property
    def _net(self) -> VoxelMorph:
        return cast(VoxelMorph, self._regress.net)

    def __call__(self, images: Sequence[Tensor]) -> Tensor:
        """Match images of one shape ``(H, W)``, with `halo` pixels of context; NaN is no data.

        Returns
        -------
        Tensor
            The five planes of each pair, ``(planes, rows, columns)``.
        """
        rows, columns = (n - 2 * self.halo for n in images[0].shape)
        below, beside = (up_to(n, self.period) - n for n in (rows, columns))
        net = self._net.to(images[0].device)
        wide = [pad(image, (0, beside, 0, below), value=torch.nan) for image in images]
        cells = rows // self.stride, columns // self.stride
        planes = wide[0].new_full((len(self.pairs), len(Estimate._fields), *cells), torch.nan)
        part = extent(torch.stack([~torch.isnan(image) for image in wide]).any(0), self.period)
        if part is None:
            return planes.flatten(0, 1)
        inner = [inner_of(cut, self.halo, n) for cut, n in zip(part, (rows, columns), strict=True)]
        known = [_encoded(net, self.matcher.filter(image[part])) for image in wide]
        for plane, (i, j) in zip(planes, self.pairs, strict=True):
            found = wide[0].new_zeros(PLANES, rows, columns)
            of = _pair(net, known[i], known[j])
            found[:, *(to for to, _ in inner)] = of[:, *(there for _, there in inner)]
            torch.stack(list(self._regress.reported(found)), out=plane)
        return planes.flatten(0, 1)


def stacked(matcher: object, images: int, pairs: Sequence[tuple[int, int]]) -> Stacked | None:
    """Return what matches pairs of a stack together as a matcher does one by one.

    Returns
    -------
    Stacked or None
        None if the matcher looks at two images at once.
    """
    if not isinstance(matcher, Filtered) or not isinstance(matcher.matcher, Regress):
        return None
    if not isinstance(matcher.matcher.net, VoxelMorph):
        return None
    if images < 2 or not pairs:
        raise MatcherError("a stack needs two or more images, and pairs of them")
    return Stacked(matcher, images, tuple(pairs))


def _encoded(net: VoxelMorph, image: Tensor) -> _Seen:
    plain, known = standardised(image[None])
    # As the secondary is seen through no displacement at all.
    whole = with_neighbours(known > 0).to(image.dtype)
    levels = net.encode((plain * whole)[:, None], whole[:, None])
    return _Seen(plain, known, whole, inside_of(known), levels)


def _pair(net: VoxelMorph, one: _Seen, other: _Seen) -> Tensor:
    """Displacement, correlation, and what counts, ``(4, H, W)``."""
    known = one.whole * other.whole
    flow = net.decode(one.levels, other.levels, known[:, None])
    padded = pad(other.image, (TAPS,) * 4)
    secondary, there = seen(padded, other.inside, squares_of(flow), TAPS)
    correlation, share = likeness(one.image, secondary, one.known * there)
    return torch.cat([*flow, correlation, known * (share > LEAST)])
