"""All pairs of a co-registered stack by a net that looks at each image by itself."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from groundshift.errors import MatcherError
from groundshift.matchers.follow import with_neighbours
from groundshift.matchers.presets import WHITEN
from groundshift.matchers.stage import crop, where
from groundshift.matchers.windows import up_to
from groundshift.nets.cells import WARP, squares_of
from groundshift.nets.direct import AROUND, likeness, seen
from groundshift.nets.images import TAPS, inside_of, standardised
from groundshift.nets.regress import ERRORS, FAR, LEAST, UNSURE, sigma_of
from groundshift.nets.voxelmorph import VoxelMorph
from groundshift.nets.weights import load
from groundshift.types import Estimate

TILE = 512
"""Pixels each way that are handled at once."""


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


def match_stack(weights: str, images: Sequence[Tensor]) -> dict[tuple[int, int], Estimate]:
    """Match each image of a stack with each later one; every image goes through the net once.

    Nothing is searched for: displacements are those that the net was trained to find without a
    first guess, a few pixels.

    Parameters
    ----------
    weights
        Name of weights of the family VoxelMorph that come with groundshift, or the folder of a
        training run.
    images
        Two or more of one shape ``(H, W)``, co-registered; NaN is no data.

    Returns
    -------
    dict
        Of numbers of both images, the reference first: the estimate for every pixel. It takes 20
        bytes for each pixel and pair.

    Raises
    ------
    MatcherError
        If the net sees both images at once, or images differ in shape.
    """
    net, details = load(weights)
    if not isinstance(net, VoxelMorph):
        raise MatcherError(f"{weights} sees both images at once; match a stack with voxelmorph")
    if len({image.shape for image in images}) != 1 or len(images) < 2:
        raise MatcherError("a stack needs two or more images of one shape")
    net = net.to(images[0].device)
    shape = images[0].shape
    around = up_to(max(net.reach, FAR + WARP * (AROUND // 2 + 1)), net.period)
    wide = [_standard(image, around, net.period) for image in images]
    pairs = list(combinations(range(len(images)), 2))
    planes = torch.full((len(pairs), 5, *shape), torch.nan, device=images[0].device)
    with torch.inference_mode():
        for rows, columns in _tiles(shape):
            area = tuple(
                slice(cut.start, up_to(cut.stop, net.period) + 2 * around)
                for cut in (rows, columns)
            )
            known = [_encoded(net, image[area]) for image in wide]
            for number, (i, j) in enumerate(pairs):
                found = _pair(net, known[i], known[j], details.get(ERRORS, ()))
                for plane, values in zip(planes[number], found, strict=True):
                    inner = crop(values, around)
                    height, width = rows.stop - rows.start, columns.stop - columns.start
                    plane[rows, columns] = inner[:height, :width]
    return {pair: Estimate(*each) for pair, each in zip(pairs, planes, strict=True)}


def _standard(image: Tensor, around: int, period: int) -> Tensor:
    """Whiten and standardise; NaN where nothing is known, and around it in whole periods."""
    below, beside = (up_to(n, period) - n for n in image.shape)
    wide = pad(WHITEN(image), (0, beside, 0, below), value=torch.nan)
    plain, known = standardised(wide[None])
    return pad(torch.where(known > 0, plain, torch.nan)[0], (around,) * 4, value=torch.nan)


def _tiles(shape: Sequence[int]) -> Iterator[tuple[slice, slice]]:
    """Cut an area into tiles."""
    for top in range(0, shape[0], TILE):
        for left in range(0, shape[1], TILE):
            bottom, right = min(top + TILE, shape[0]), min(left + TILE, shape[1])
            yield slice(top, bottom), slice(left, right)


def _encoded(net: VoxelMorph, image: Tensor) -> _Seen:
    known = (~torch.isnan(image)).to(image.dtype)[None]
    # As the secondary is seen through no displacement at all.
    whole = with_neighbours(known > 0).to(image.dtype)
    plain = torch.nan_to_num(image)[None]
    levels = net.encode((plain * whole)[:, None], whole[:, None])
    return _Seen(plain, known, whole, inside_of(known), levels)


def _pair(net: VoxelMorph, one: _Seen, other: _Seen, errors: list[tuple[float, float]]) -> Estimate:
    """Match what was seen of two images."""
    flow = net.decode(one.levels, other.levels, (one.whole * other.whole)[:, None])
    padded = pad(other.image, (TAPS,) * 4)
    secondary, there = seen(padded, other.inside, squares_of(flow), TAPS)
    correlation, share = likeness(one.image, secondary, one.known * there)
    sigma = sigma_of(correlation, errors)
    good = (one.known > 0) & (share > LEAST) & ~(sigma > UNSURE)
    dy, dx = flow[0]
    found = Estimate(dy, dx, sigma[0], sigma[0].clone(), correlation[0].clamp(0, 1))
    return where(good[0], found)
