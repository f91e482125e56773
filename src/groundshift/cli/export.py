"""The command ``export``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from groundshift.cli.common import Bands, Verbose, check_out, open_pairs, start
from groundshift.errors import GroundshiftError


class Form(StrEnum):
    """Of other programs."""

    itslive = "itslive"
    ticoi = "ticoi"
    mintpy = "mintpy"
    geotiffs = "geotiffs"
    csv = "csv"
    groundshift = "groundshift"


def export(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="IN... OUT",
            help="A stack of pairs, displacement fields of one grid, or a history; and the result: "
            ".zarr, .nc, .h5, .csv, or a new folder for GeoTIFFs.",
        ),
    ],
    *,
    to: Annotated[
        Form | None,
        typer.Option(
            help="Format. Default: what the suffix of OUT says. itslive and ticoi are cubes of "
            "velocities, and hold pairs alone.",
        ),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y", help="A point, for csv, in map coordinates. May be given several times."
        ),
    ] = None,
    at_lonlat: Annotated[
        list[str] | None,
        typer.Option(metavar="LON,LAT", help="The same in degrees of WGS84."),
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Points in a .csv table: station, and x, y or longitude, latitude.",
        ),
    ] = None,
    bands: Bands = None,
    verbose: Verbose = False,
) -> None:
    """Write pairs or a history in the format of another program, or as a table of points.

    What other programs wrote is read as well, here as by all commands: cubes and pairs of ITS_LIVE,
    cubes of TICOI, offsets and series of MintPy, GeoTIFFs with both dates in their names.

    **Examples**

    `groundshift export pairs.zarr pairs.nc --to ticoi`

    `groundshift export history.nc points.csv --at-lonlat -155.28,19.41`

    `groundshift export itslive.nc pairs.zarr --to groundshift`
    """
    start(verbose=verbose)
    *paths, last = data
    out = Path(last)
    if not paths:
        raise GroundshiftError("there is nothing before OUT; give pairs or a history")
    from groundshift import api, timeseries
    from groundshift.io.exchange import formats
    from groundshift.io.exchange.points import Place, read_places

    name = formats.choose(out, None if to is None else to.value)
    check_out(out, [*paths, points], suffixes=formats.SUFFIXES[name])
    places = [] if points is None else read_places(points)
    for texts, lonlat in ((at, False), (at_lonlat, True)):
        for text in texts or []:
            places.append(Place(f"P{len(places) + 1}", *_two(text), lonlat))
    opened = open_pairs(paths, bands)
    history = not isinstance(opened, list) and opened.attrs["schema"] == timeseries.SERIES
    for each in formats.files_of(out, name, history=history):
        check_out(each, paths, suffixes=formats.SUFFIXES[name])
    written = api.export(opened, out, to=name, places=places)
    typer.echo(f"wrote       {', '.join(map(str, written))}")


def _two(text: str) -> tuple[float, float]:
    try:
        x, y = (float(word) for word in text.split(","))
    except ValueError as error:
        raise GroundshiftError(
            f"{text!r} is no point; write two numbers as 500100,4000000"
        ) from error
    return x, y
