"""Formats of other programs, and how stacks and histories are written in each."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import xarray as xr

from groundshift import timeseries
from groundshift.errors import OutputError
from groundshift.io.exchange import geotiff_lists, itslive, mintpy, mintpy_files, points, ticoi
from groundshift.io.exchange.points import Place
from groundshift.io.fields import save
from groundshift.io.outputs import check_kind, check_space, put, workshop
from groundshift.io.scratch import cannot_write

SUFFIXES = {
    "itslive": (".zarr", ".nc"),
    "ticoi": (".nc", ".zarr"),
    "mintpy": (".h5",),
    "geotiffs": ("",),
    "csv": (".csv",),
    "groundshift": (".zarr", ".nc"),
}
"""What names in each format end in; nothing of folders."""
Writer = Callable[[Path, xr.Dataset], None]
STACKS: dict[str, Writer] = {
    "itslive": itslive.write,
    "ticoi": ticoi.write,
    "mintpy": mintpy_files.write_stack,
    "geotiffs": geotiff_lists.write_stack,
}
HISTORIES: dict[str, Writer] = {
    "mintpy": mintpy_files.write_series,
    "geotiffs": geotiff_lists.write_series,
}


def choose(out: Path, name: str | None) -> str:
    """Return the name of the format of an output; where none is given, as its suffix says.

    Raises
    ------
    OutputError
        If it does not say so, or does not fit the format.
    """
    suffix = out.suffix.lower()
    fitting = [each for each, suffixes in SUFFIXES.items() if suffix in suffixes]
    if name is None:
        if len(fitting) != 1:
            raise OutputError(
                f"{out} does not tell the format; choose one of {', '.join(fitting or SUFFIXES)} "
                "with to="
            )
        return fitting[0]
    if name not in SUFFIXES:
        raise OutputError(f"{name!r} is no format; choose one of {', '.join(SUFFIXES)} with to=")
    if name not in fitting:
        ends = " or ".join(SUFFIXES[name]) or "nothing, being a folder"
        raise OutputError(f"{out}: names in the format {name} end in {ends}; choose another OUT")
    return name


def files_of(out: Path, name: str, *, history: bool) -> list[Path]:
    """Return what is written: MintPy has a file for each component of a history."""
    return [*mintpy.files_of(out).values()] if name == "mintpy" and history else [out]


def write(dataset: xr.Dataset, out: Path, name: str, places: Sequence[Place]) -> list[Path]:
    """Write a stack of pairs or a history, block by block; names appear when all is complete.

    Parameters
    ----------
    name
        Of the format, as `choose` returns it.
    places
        Points, of tables.

    Raises
    ------
    OutputError
        If the format holds no such thing, or the output cannot be written.
    """
    history = dataset.attrs.get("schema") == timeseries.SERIES
    if name == "groundshift":
        return [save(dataset, out)]
    if name == "csv":
        writer = partial(points.write, places=places)
    else:
        writer = (HISTORIES if history else STACKS).get(name)
    if writer is None:
        raise OutputError(
            f"the format {name} holds pairs and no history; choose one of "
            f"{', '.join(HISTORIES)}, csv, or export the pairs"
        )
    targets = files_of(out, name, history=history)
    for target in targets:
        check_kind(target, folder=out.suffix.lower() in {"", ".zarr"})
    if not out.suffix and out.exists() and any(out.iterdir()):
        raise OutputError(f"{out} is a folder with files in it; choose a new one")
    if name != "csv":
        check_space(out, sum(int(dataset[each].nbytes) for each in timeseries.MOVING))
    with workshop(out) as folder:
        result = folder / f"result{out.suffix.lower()}"
        if not out.suffix:
            result.mkdir()
        try:
            writer(result, dataset)
            for made, target in zip(files_of(result, name, history=history), targets, strict=True):
                put(made, target, folder)
        except (OSError, RuntimeError) as error:  # HDF5 raises the latter when the disk is full
            raise OutputError(cannot_write(out.parent, error)) from error
    return targets
