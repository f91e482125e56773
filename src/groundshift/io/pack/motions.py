"""Fields of displacement or velocity as motions of a bank: read, cleaned, and kept small.

Two files that differ in the name of the component only (``vx`` and ``vy``, ``Px1`` and ``Px2``,
``EW`` and ``NS``, ``dx`` and ``dy``) make a field; so does a file with two bands of such names, and
a file of one component whose other was never measured and is taken for zero. On a map with rows
from north to south, the second component points north; otherwise towards higher rows. What is zero
in both components was not measured, and neither is what a file ``Correl`` beside it (MicMac, ``(1 +
correlation) / 2``) says does not correlate.
"""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rasterio.errors import RasterioError
from scipy.io import netcdf_file

from groundshift.errors import GroundshiftError, ImageError
from groundshift.io import raster
from groundshift.io.pack.clean import cleaned
from groundshift.io.provenance import FILE, provenance
from groundshift.synth import bank
from groundshift.synth.measured import MotionField

log = logging.getLogger(__name__)

SMALLEST = 24
"""Nodes along each side below which a field is of no use."""
PEAK = 2047
"""Level of the fastest motion: 1/4000 of its range is finer than any measurement."""
CORRELATED = 0.6
"""Least value of a file ``Correl`` where motion counts: a correlation of 0.2."""
_COMPONENT = re.compile(
    r"(?<![A-Za-z0-9])(?:(?P<x>vx|dx|px1|ew|east)|(?P<y>vy|dy|px2|ns|north))(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_CORREL = re.compile(r"correl", re.IGNORECASE)
_SUFFIXES = {".tif", ".tiff", ".grd", ".nc", ".vrt", ".img"}

Planes = tuple[np.ndarray, bool]
"""Values, NaN where there are none, and whether rows go from north to south."""


def motions_of(
    folder: str | os.PathLike[str], skipped: list[tuple[str, str]]
) -> tuple[MotionField, ...]:
    """Read all fields of a folder and its subfolders; each folder is one place.

    Parameters
    ----------
    folder
        GeoTIFF or what else GDAL opens, and grids of GMT (netCDF 3). A ``SOURCE.txt`` tells source
        and licence, as for images.
    skipped
        Gets the files that cannot be used, and why.

    Raises
    ------
    GroundshiftError
        When no field can be used.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ImageError(f"{root} is not a folder; pass one that holds fields of motion")
    fields = []
    for name, parts in sorted(_components(root).items()):
        try:
            fields.append(_field(root, name, parts))
        except GroundshiftError as error:
            log.warning("left out %s: %s", root / name, error)
            skipped.append((str(root / name), str(error)))
    if not fields:
        raise GroundshiftError(
            f"{root} has no field of motion that can be packed; pass files such as a_vx.tif and "
            "a_vy.tif"
        )
    return tuple(spread(fields))


def spread(fields: Sequence[MotionField]) -> list[MotionField]:
    """Give validation and test the smallest places, where they have none by name."""
    splits = {field.scene: field.split for field in fields}
    sizes = {scene: 0 for scene in splits}
    for field in fields:
        sizes[field.scene] += field.known.numel()
    for split in ("validation", "test"):
        training = sorted((s for s in splits if splits[s] == "train"), key=lambda s: (sizes[s], s))
        if len(training) > 1 and split not in splits.values():
            splits[training[0]] = split
    return [replace(field, split=splits[field.scene]) for field in fields]


def _components(root: Path) -> dict[str, dict[str, Path]]:
    """Files by component, under the name of the first."""
    groups: dict[tuple[Path, str], dict[str, Path]] = {}
    for path in sorted(root.rglob("*")):
        match = _COMPONENT.search(path.stem.replace("_", " "))
        hidden = path.name == FILE or path.name.startswith(".")
        if hidden or path.suffix.lower() not in _SUFFIXES or _CORREL.search(path.stem):
            continue
        axis = "both" if match is None else "x" if match["x"] else "y"
        rest = path.stem
        if match is not None:
            rest = path.stem[: match.start()] + "*" + path.stem[match.end() :]
        groups.setdefault((path.parent, rest), {})[axis] = path
    return {min(parts.values()).relative_to(root).as_posix(): parts for parts in groups.values()}


def _field(root: Path, name: str, parts: dict[str, Path]) -> MotionField:
    planes: dict[str, Planes] = {}
    for axis, path in parts.items():
        planes |= _bands(path) if axis == "both" else {axis: _read(path)}
    shapes = {values.shape for values, _ in planes.values()}
    if len(shapes) != 1:
        raise ImageError("its components have different sizes; resample them to one grid")
    (shape,) = shapes
    none = np.zeros(shape), False
    (dx, _), (dy, north) = planes.get("x", none), planes.get("y", none)
    motion = np.stack([-dy if north else dy, dx])
    motion[:, (motion == 0).all(axis=0)] = np.nan
    path = min(parts.values())
    correl = [p for p in path.parent.iterdir() if _CORREL.search(p.stem) and p.suffix == ".tif"]
    if correl and (weight := _read(correl[0])[0]).shape == shape:
        motion[:, ~(weight > CORRELATED)] = np.nan
    values, known = cleaned(motion)
    if min(known.shape) < SMALLEST:
        raise ImageError(f"{known.shape[1]} x {known.shape[0]} nodes are left, which is too few")
    about = provenance(path, root)
    scene = path.parent.relative_to(root).as_posix()
    scale = float(np.abs(values).max()) / PEAK
    return MotionField(
        name=name,
        scene=scene,
        split=bank.split_of(f"motion of {scene}"),
        source=about.source,
        licence=about.licence,
        scale=scale,
        levels=torch.from_numpy((values / scale).round().astype(np.int16)),
        known=torch.from_numpy(known),
    )


def _read(path: Path) -> Planes:
    if path.suffix.lower() == ".grd":
        return _gmt(path), True
    with raster.inspect(str(path)) as dataset:
        return _values(dataset, 1), _southward(dataset)


def _bands(path: Path) -> dict[str, Planes]:
    """Components of one file, by the names of its bands."""
    with raster.inspect(str(path)) as dataset:
        found = {}
        for number, name in enumerate(dataset.descriptions, start=1):
            match = _COMPONENT.fullmatch(name or "")
            if match is not None:
                axis = "x" if match["x"] else "y"
                found[axis] = _values(dataset, number), _southward(dataset)
    if len(found) < 2:
        raise ImageError("no components can be told from its name or its bands; name them dx, dy")
    return found


def _values(dataset, number: int) -> np.ndarray:
    try:
        return dataset.read(number, masked=True).astype(np.float64).filled(np.nan)
    except RasterioError as error:
        raise ImageError(f"it cannot be read ({error}); check the file") from error


def _southward(dataset) -> bool:
    return dataset.crs is not None and dataset.transform.e < 0


def _gmt(path: Path) -> np.ndarray:
    """Read a grid of GMT: rows from the north, flat in the oldest format."""
    try:
        with netcdf_file(path, "r", mmap=False) as file:
            values = np.array(file.variables["z"][:], dtype=np.float64)
            if values.ndim == 1:
                columns, rows = file.variables["dimension"][:]
                return values.reshape(rows, columns)
            return values[::-1]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ImageError(f"it is no grid of GMT ({error}); convert it to GeoTIFF") from error
