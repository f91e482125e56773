"""The verb ``labels``: what a tracker finds in real pairs, as samples to train a net on.

Nets learn from it without any truth, and what the tracker cannot measure they are not asked for. It
cannot make them better than the tracker where that is wrong in a consistent way.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from groundshift.api.inputs import labelled
from groundshift.api.tracked import Tracked, digest, kind_of, tracked
from groundshift.errors import GroundshiftError, ImageError, OutputError
from groundshift.io import partial
from groundshift.io import samples as store
from groundshift.io.samples import Layout, Samples
from groundshift.matchers import multikernel
from groundshift.matchers.prior import upsample, without_outliers
from groundshift.nets.cells import repeat
from groundshift.synth.stream import SENSORS
from groundshift.types import Matcher

SHARD_PIXELS = 2**21
"""Of one plane in a shard, roughly."""
FAMILY = "tracked"
"""What samples of real pairs say in place of a family of synthetic motions."""
TOLERANCE = 0.5
"""Pixels by which a label may differ from its neighbours, beside what these differ themselves."""
SEEN = 0.9
"""Share of a sample's pixels that both images must show."""
PACKAGES = ("groundshift", "torch", "numpy", "scipy")

log = logging.getLogger(__name__)

Pair = tuple[xr.DataArray, xr.DataArray]


class Progress(NamedTuple):
    """What became of a pair."""

    pair: int
    """Its number, from 0."""
    labelled: float
    """Share of its ground that has a label."""
    samples: int
    """Cut from it."""


class _Labelled(NamedTuple):
    """A pair on one grid, and its labels."""

    reference: xr.DataArray
    secondary: xr.DataArray
    dy: Tensor
    """Of each cell, pixels, NaN without a label."""
    dx: Tensor
    quality: dict[str, Tensor]
    """Standard deviation and score of each cell."""
    stride: int
    sensor: int
    corners: list[tuple[int, int]]
    """First row and column of each sample."""


def labels(
    pairs: Sequence[Pair],
    out: Path | str,
    matcher: Matcher | None = None,
    *,
    size: int = 256,
    share: float = 0.5,
    radiometry: str | None = None,
    memory: int | None = None,
    device: str = "cpu",
    report: Callable[[Progress], None] | None = None,
) -> Samples:
    """Track real pairs, and write crops of them with what was found as a store of samples.

    A label is kept where the match is certain, its way back agrees, and its neighbours do. Samples
    have the keys of synthetic ones (:mod:`groundshift.synth.stream`): `motion` is the label, zero
    where there is none, `valid` and `measurable` say where there is one; `coherence` and
    `bandwidth` are not known. `sigma` (pixels, of each component) and `score` (0 to 1) are what the
    tracker says of a label, NaN where there is none.

    Parameters
    ----------
    pairs
        Reference and secondary of each, as :func:`groundshift.open_image` gives them, or arrays
        without georeferencing. The secondary is resampled onto the reference's grid where it has to
        be.
    out
        The store, a folder that ends in .zarr. One that is not complete is gone on with; pairs that
        were tracked are kept in OUT.partial until it is.
    matcher
        By default :func:`groundshift.matchers.multikernel`: offset tracking by windows of several
        sizes, as published for CC-ResSiamNet (Kim, Jung and Lu 2025).
    size
        Pixels of a sample, each way.
    share
        Of a sample's pixels that must have a label.
    radiometry, memory, device
        As for :func:`groundshift.track`.
    report
        Called after each pair.

    Raises
    ------
    GroundshiftError
        If the input cannot be used, or nothing has labels.
    OutputError
        If OUT is something else, or was begun with other pairs or settings.
    """
    out = Path(out)
    matcher = matcher or multikernel()
    _check(pairs, out, matcher, size, share)
    pairs = [(labelled(one, "reference"), labelled(two, "secondary")) for one, two in pairs]
    radiometries = [kind_of(one, radiometry) for one, _ in pairs]
    told = {
        "pairs": [[str(image.attrs.get("source", "")) for image in pair] for pair in pairs],
        "pixels": [[digest(image) for image in pair] for pair in pairs],
        "radiometry": radiometries,
        "matcher": repr(matcher),
        "size": size,
    }
    if (whole := _complete(out, told | {"share": share})) is not None:
        return whole
    with partial.work_on(out, told) as folder:
        found = []
        for number, pair in enumerate(pairs):
            kind, file = radiometries[number], folder / f"{number}.npz"
            measured = tracked(pair, kind, matcher, file, window=size, memory=memory, device=device)
            made = _labelled(measured, kind, matcher.stride, size, share)
            found.append(made)
            log.info("pair %d: %d samples", number, len(made.corners))
            if report is not None:
                known = float((~torch.isnan(made.dy)).float().mean())
                report(Progress(number, known, len(made.corners)))
        samples = _stored(out, found, told | {"share": share})
        partial.clear(folder)
    return samples


def _complete(out: Path, told: dict[str, Any]) -> Samples | None:
    """Return the store if it is there and complete; refuse one of something else."""
    if not out.exists():
        return None
    try:
        found = Samples(out)
    except ImageError:
        raise OutputError(f"{out} is no store of samples; choose another OUT") from None
    remedy = "repeat the first command to go on with it, or choose another OUT"
    partial.compare(out, found.attributes["recipe"], told, remedy)
    return found if len(found) == found.attributes["samples"] else None


def _stored(out: Path, found: Sequence[_Labelled], told: dict[str, Any]) -> Samples:
    """Write what is labelled as a store."""
    size, share = told["size"], told["share"]
    count = sum(len(each.corners) for each in found)
    if count == 0:
        raise GroundshiftError(
            f"no crop of {size} px has labels on {share:.0%} of its pixels; lower share= or size=, "
            "search farther (matcher=multikernel(search=64)), or take dates nearer to each other"
        )
    layout = Layout(out.absolute(), count, 0, size, max(1, SHARD_PIXELS // size**2), tracked=True)
    _write(layout, found, told)
    return Samples(layout.path)


def _write(layout: Layout, found: Sequence[_Labelled], told: dict[str, Any]) -> None:
    """Write the shards that are not there yet."""
    facts = {"recipe": told, "software": {name: version(name) for name in PACKAGES}}
    store.create(layout, (FAMILY,), SENSORS, {**facts, "bank": None, "licences": []})
    crops = list(_crops(found))
    for shard in sorted(set(range(layout.shards)) - store.done(layout)):
        part = layout.part(shard)
        store.write(layout, shard, [_sample(*crops[k], k, layout.size) for k in part])


def _check(pairs: Sequence[Pair], out: Path, matcher: Matcher, size: int, share: float) -> None:
    if not pairs:
        raise GroundshiftError("there are no pairs to label; pass at least one")
    if size < 16 or size % 16:
        raise GroundshiftError(f"size={size} must be a multiple of 16, such as 256")
    if size % matcher.stride:
        raise GroundshiftError(
            f"size={size} must be a multiple of the matcher's stride, {matcher.stride}; pass a "
            "stride of 1, 2, 4, 8 or 16"
        )
    if not 0 < share <= 1:
        raise GroundshiftError(f"share={share} is no share; pass above 0, up to 1")
    if not out.absolute().parent.is_dir():
        raise OutputError(f"the folder {out.parent} does not exist; make it, or choose another OUT")


def _labelled(pair: Tracked, kind: str, stride: int, size: int, share: float) -> _Labelled:
    """Keep what neighbours agree with, and choose where to cut samples from a pair."""
    one, two, (dy, dx, sigma_dy, sigma_dx, score) = pair
    near = without_outliers(dy, dx, TOLERANCE)
    same = ((near[0] - dy).abs() < 1e-6) & ((near[1] - dx).abs() < 1e-6)
    dy, dx = (torch.where(same, plane, torch.nan) for plane in (dy, dx))
    sensor = SENSORS.index("optical" if kind == "optical" else "radar")
    corners = [
        (row, column)
        for row in range(0, one.shape[0] - size + 1, size)
        for column in range(0, one.shape[1] - size + 1, size)
        if _known(dy, row, column, size, stride) >= share
    ]
    corners = [each for each in corners if _seen(one, two, *each, size) >= SEEN]
    sigma = ((sigma_dy.square() + sigma_dx.square()) / 2).sqrt()
    quality = {"sigma": sigma, "score": score}
    return _Labelled(one, two, dy, dx, quality, stride, sensor, corners)


def _known(plane: Tensor, row: int, column: int, size: int, stride: int) -> float:
    cells = (slice(n // stride, (n + size) // stride) for n in (row, column))
    return float((~torch.isnan(plane[tuple(cells)])).float().mean())


def _seen(one: xr.DataArray, two: xr.DataArray, row: int, column: int, size: int) -> float:
    square = (slice(row, row + size), slice(column, column + size))
    return min(float(np.isfinite(image[square].values).mean()) for image in (one, two))


def _crops(found: Sequence[_Labelled]) -> Iterator[tuple[_Labelled, tuple[int, int]]]:
    for each in found:
        for corner in each.corners:
            yield each, corner


def _sample(made: _Labelled, corner: tuple[int, int], index: int, size: int) -> dict[str, Any]:
    """Cut a sample: the labels of its cells, interpolated to pixels."""
    square = tuple(slice(n, n + size) for n in corner)
    cells = tuple(slice(n // made.stride, (n + size) // made.stride) for n in corner)
    planes = [plane[cells] for plane in (made.dy, made.dx)]
    known = repeat(~torch.isnan(planes[0]), made.stride)
    motion = torch.stack([upsample(plane, made.stride) for plane in planes])
    images = {
        name: torch.from_numpy(np.array(image[square].values, dtype=np.float32))
        for name, image in (("reference", made.reference), ("secondary", made.secondary))
    }
    blank = torch.full((size, size), torch.nan)
    quality = {
        name: repeat(plane[cells], made.stride).where(known, torch.nan)
        for name, plane in made.quality.items()
    }
    return (
        images
        | quality
        | {
            "motion": torch.where(known, motion, 0.0),
            "coherence": blank,
            "valid": known,
            "measurable": known,
            "distance": torch.full((size, size), torch.inf),
            "bandwidth": torch.tensor(torch.nan),
            "family": torch.tensor(0),
            "sensor": torch.tensor(made.sensor),
            "index": torch.tensor(index),
        }
    )
