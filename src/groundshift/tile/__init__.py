"""Run a pair operator over images of any size, tile by tile, without a trace of the tiles.

The images are padded with NaN by the operator's ``halo``, cut into blocks that start at multiples
of its ``period``, and the operator sees one block at a time (see :mod:`groundshift.types`). The
results are trimmed, never blended: whatever the tile size, they are those of the whole image.

Everything is lazy. A tile is one dask task that returns all planes together, so that computing
several planes at once runs the operator once. How many tiles run at a time is part of the graph
(:class:`Gate`), so that the memory budget holds under any local scheduler.

A tile reads its own window of the images and shares no chunk of them with its neighbours. Shared
chunks would be read once instead of about twice, but kept until the next row of tiles is done: on
a 20,000-pixel scene 1.2 GB for a budget of 256 MB, and more on a wider one.

Not built on ``dask.array.overlap``, which re-chunks silently where a chunk is smaller than the
overlap, and not on blending, which hides a halo that is too small.
"""

import logging
import types
import typing
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import dask.array as da
import numpy as np
import torch
import xarray as xr
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph
from numpy.typing import ArrayLike

from groundshift.errors import GridError, GroundshiftError, ImageError, MatcherError
from groundshift.tile.gate import Gate
from groundshift.tile.memory import Plan, plan
from groundshift.tile.prior import Prior, Window, cells_of, spread
from groundshift.tile.progress import TASK, Progress, computing
from groundshift.types import Estimate, PairOperator, StackOperator

__all__ = [
    "Gate",
    "Plan",
    "Prior",
    "Progress",
    "computing",
    "map_pair",
    "map_stack",
    "plan",
    "resolve_device",
]

_array = cast(Any, da.Array)  # its type hints do not know how it is made
log = logging.getLogger(__name__)

REAL = "fiub"
"""Kinds of numbers that are real."""


def map_pair(
    operator: PairOperator,
    reference: xr.DataArray | ArrayLike | da.Array,
    secondary: xr.DataArray | ArrayLike | da.Array,
    prior: Prior | tuple[Any, Any] | None = None,
    *,
    tile: int | None = None,
    memory: int | None = None,
    device: str = "cpu",
) -> Any:
    """Apply a pair operator to two images on one grid; lazily, in tiles.

    Parameters
    ----------
    operator
        Called as ``operator(reference, secondary, prior)`` on float32 tensors, or complex64 where
        it says that it takes these (`takes_complex`).
    reference, secondary
        Images of one shape ``(H, W)``, real unless it does; NaN is "no data".
    prior
        ``(dy, dx)`` per pixel, or on a coarser grid of cells (:class:`Prior`), which is
        interpolated linearly; pixels.
    tile
        Side of square tiles in pixels, a multiple of ``operator.period``; chosen by
        :func:`plan` when not given.
    memory
        Budget in bytes for the tiles that are worked on at once.
    device
        "cpu", "cuda", or "auto" for the best there is.

    Returns
    -------
    NamedTuple of dask arrays
        The planes which the operator returns, of shape ``(ceil(H / stride), ceil(W / stride))``.
        Cells where either image has no data at all in reach are NaN.

    Raises
    ------
    MatcherError
        If the operator's halo, stride and period, or the tile size, make no sense.
    GridError
        If the images or the prior differ in shape.
    """
    kinds = "c" if getattr(operator, "takes_complex", False) else REAL
    images = _pixels(reference, "reference", kinds), _pixels(secondary, "secondary", kinds)
    planes = _planes_of(operator)
    count = len(planes._fields)
    lattice = _prior(prior, images[0].shape)
    stacked = _mapped(operator, count, images, _Asked(tile, memory, device), lattice)
    return planes(*(stacked[index] for index in range(count)))


def map_stack(
    operator: StackOperator,
    images: Sequence[xr.DataArray | ArrayLike | da.Array],
    *,
    tile: int | None = None,
    memory: int | None = None,
    device: str = "cpu",
) -> da.Array:
    """Apply a stack operator to images on one grid; lazily, in tiles.

    Parameters
    ----------
    operator
        Called with float32 tensors, one of each image.
    images
        Of one shape ``(H, W)``, real; NaN is "no data".
    tile, memory, device
        As for :func:`map_pair`.

    Returns
    -------
    dask array
        The planes, ``(planes, ceil(H / stride), ceil(W / stride))``. Cells where fewer than two
        images have data in reach are NaN.

    Raises
    ------
    MatcherError, GridError
        As :func:`map_pair`.
    """
    pixels = [_pixels(image, f"image {number}") for number, image in enumerate(images, 1)]
    return _mapped(operator, operator.planes, pixels, _Asked(tile, memory, device), None)


def resolve_device(name: str) -> str:
    """Turn "auto" into the best device there is, and refuse one that is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name != "cpu" and not name.startswith("cuda"):
        raise GroundshiftError(f"device={name!r} is not known; pass 'cpu', 'cuda' or 'auto'")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise GroundshiftError(
            f"device={name!r} is not available to torch on this machine; pass device='cpu'"
        )
    return name


# -- the graph ---------------------------------------------------------------------------------


class _Asked(NamedTuple):
    """What a user may say of tiles."""

    tile: int | None
    memory: int | None
    device: str


def _mapped(
    operator: Any, count: int, images: Sequence[Any], asked: _Asked, prior: Prior | None
) -> da.Array:
    """Plan, and return the planes."""
    shape = images[0].shape
    for image in images[1:]:
        if image.shape != shape:
            raise GridError(
                f"the images differ in shape ({shape} and {image.shape} pixels); "
                "bring them onto one grid with groundshift.grid.align"
            )
    where = resolve_device(asked.device)
    layout = plan(shape, operator, asked.memory, tile=asked.tile, device=where)
    log.debug("%s for %s pixels on %s", layout, shape, where)
    many = hasattr(operator, "planes")
    job = _Job(operator, count, many, Gate(layout.workers, layout.threads), where)
    return _join(job, (layout.height, layout.width), images, prior)


class _Job(NamedTuple):
    """What all tiles have in common."""

    operator: PairOperator
    planes: int
    many: bool
    """Whether it is a stack operator."""
    gate: Gate
    device: str


def _join(job: _Job, tile: tuple[int, int], images: Sequence[Any], prior: Prior | None) -> da.Array:
    """Return the planes of all tiles as one lazy array ``(planes, rows, columns)``."""
    stride, halo = job.operator.stride, job.operator.halo
    tops, lefts = (_cuts(n, size, stride) for n, size in zip(images[0].shape, tile, strict=True))
    token = tokenize(job, tile, images, prior)
    name = f"{TASK}-{token}"
    layer: dict[Any, Any] = {}
    for i, top in enumerate(tops):
        rows = Window(top.start - halo, top.stop + halo)
        for j, left in enumerate(lefts):
            columns = Window(left.start - halo, left.stop + halo)
            blocks, padding = _cut(images, rows, columns)
            cells = None if prior is None else cells_of(prior, rows, columns)
            # As a partial: dask would take arrays and dataclasses among the arguments apart.
            layer[name, 0, i, j] = (partial(_run, job, blocks, padding, cells),)
    sizes = [tuple((cut.stop - cut.start) // stride for cut in axis) for axis in (tops, lefts)]
    graph = HighLevelGraph.from_collections(name, layer)
    return _array(graph, name, ((job.planes,), *sizes), meta=np.empty((0, 0, 0), np.float32))


def _cuts(size: int, tile: int, stride: int) -> list[Window]:
    """Cut one axis, rounded up to whole cells, into tiles."""
    end = -(-size // stride) * stride
    return [Window(start, min(start + tile, end)) for start in range(0, end, tile)]


def _cut(images: Sequence[Any], rows: Window, columns: Window) -> tuple[list[Any], Any]:
    """Return the lazy blocks and the padding that puts what lies outside around them."""
    height, width = images[0].shape
    part = rows.inside(height), columns.inside(width)
    return [image[part] for image in images], (rows.padding(height), columns.padding(width))


def _run(job: _Job, blocks: list[Any], padding: Any, prior: Any) -> np.ndarray:
    """Return the planes of one tile, ``(planes, rows, columns)``: the numpy-torch border."""
    operator: Any = job.operator
    padded = [_pad(_read(block), padding) for block in blocks]
    shape = tuple((size - 2 * operator.halo) // operator.stride for size in padded[0].shape)
    out = np.full((job.planes, *shape), np.nan, np.float32)
    if sum(not np.isnan(block).all() for block in padded) < 2:
        return out
    with job.gate.running(), torch.inference_mode():
        tensors = [torch.from_numpy(block).to(job.device) for block in padded]
        centre = None
        if prior is not None:
            dy, dx, *places = prior
            centre = torch.from_numpy(spread(_read(dy), _read(dx), *places)).to(job.device)
        planes = operator(tensors) if job.many else operator(*tensors, centre)
        for index, plane in enumerate(planes):
            if tuple(plane.shape) != shape:
                raise MatcherError(
                    f"{type(operator).__name__} returned a plane of {tuple(plane.shape)} cells "
                    f"instead of {shape} for a block of {padded[0].shape} pixels; see "
                    "groundshift.types"
                )
            out[index] = plane.cpu().numpy()
    return out


def _read(block: Any) -> np.ndarray:
    """Compute a lazy block here and now, in the thread that needs it."""
    return block.compute(scheduler="sync") if isinstance(block, da.Array) else block


def _pad(block: np.ndarray, padding: tuple[tuple[int, int], tuple[int, int]]) -> np.ndarray:
    """Return a writable float32 or complex64 copy with NaN around it."""
    (top, bottom), (left, right) = padding
    height, width = block.shape
    dtype = np.complex64 if block.dtype.kind == "c" else np.float32
    out = np.full((top + height + bottom, left + width + right), np.nan, dtype)
    out[top : top + height, left : left + width] = block
    return out


# -- the inputs --------------------------------------------------------------------------------


def _planes_of(operator: PairOperator) -> Any:
    """Return the NamedTuple type that the operator says it returns; an Estimate if it is silent."""
    call = type(operator).__call__ if callable(operator) else None
    if not isinstance(call, types.FunctionType):
        return Estimate
    found = typing.get_type_hints(call).get("return", Estimate)
    return found if hasattr(found, "_fields") else Estimate


def _prior(prior: Prior | tuple[Any, Any] | None, shape: tuple[int, int]) -> Prior | None:
    if prior is None:
        return None
    cells = prior if isinstance(prior, Prior) else Prior(*prior)
    dy, dx = (_pixels(plane, "prior") for plane in (cells.dy, cells.dx))
    if dy.shape != dx.shape:
        raise GridError(f"the prior's dy and dx differ in shape: {dy.shape} and {dx.shape}")
    if not isinstance(prior, Prior) and dy.shape != shape:
        raise GridError(
            f"the prior has {dy.shape} values for {shape} pixels; give one per pixel, "
            "or say where its cells are with groundshift.tile.Prior"
        )
    if 0 in cells.step:
        raise GridError("the prior's cells need a step that is not zero")
    return Prior(dy, dx, cells.step, cells.origin)


def _pixels(image: Any, role: str, kinds: str = REAL) -> Any:
    """Return the bare 2-D array of an image, of numbers of some kinds."""
    data = image.data if isinstance(image, xr.DataArray) else image
    if not isinstance(data, da.Array):
        data = np.asarray(data)
    if data.ndim != 2 or 0 in data.shape:
        raise ImageError(f"the {role} has shape {data.shape}; give one 2-D band with pixels in it")
    if data.dtype.kind not in kinds:
        hint = "; detect its amplitude first" if data.dtype.kind == "c" else ""
        wanted = "real" if kinds == REAL else "complex"
        raise ImageError(f"the {role} holds {data.dtype} values, not {wanted} numbers{hint}")
    return data
