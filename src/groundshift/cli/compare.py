"""The command ``compare``."""

import csv
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from groundshift.cli.common import Verbose, check_picture, start
from groundshift.errors import GroundshiftError, OutputError

COLUMNS = (
    "station",
    "component",
    "dates",
    "rmse",
    "velocity",
    "velocity_station",
    "sigma_velocity",
    "within_68",
    "within_95",
)


def compare(
    series: Annotated[
        list[str],
        typer.Argument(
            metavar="SERIES STATIONS...",
            help="History of invert (.nc or .zarr), or GeoTIFFs along a line of sight (--sight), "
            "such as displacement_20160711_20160723.tif; and stations: .tenv3 files (GNSS), .csv "
            "tables, folders of these.",
        ),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Table, .csv; a picture goes beside it."),
    ] = None,
    sight: Annotated[
        str | None,
        typer.Option(
            metavar="VECTOR",
            help="From the ground to the satellite: east,north,up of a unit vector, or a raster of "
            "three bands; the GeoTIFFs are displacement towards the satellite.",
        ),
    ] = None,
    radius: Annotated[
        float, typer.Option(min=0, metavar="METRES", help="Average cells so near to a station.")
    ] = 0.0,
    days: Annotated[
        float, typer.Option(min=0, metavar="DAYS", help="A station's readings may be so far off.")
    ] = 1.0,
    relative: Annotated[
        str | None, typer.Option(metavar="STATION", help="Take all relative to this station.")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Compare a series of displacement with instruments on the ground.

    Date by date: RMSE of the differences around their mean, in metres, velocities of both in metres
    per year, and how many differences the 68 and 95 % intervals hold. Tables have the columns
    station, time, longitude, latitude, and east, north, up or, of an extensometer, displacement,
    azimuth.

    **Examples**

    `groundshift compare history.nc gnss/ --out agreement.csv`

    `groundshift compare displacement_*.tif gnss/ --sight los_enu.tif --relative CNPK`
    """
    start(verbose=verbose)
    maps = [word for word in series if Path(word).suffix.lower() in {".tif", ".tiff"}]
    names = [word for word in series[len(maps) or 1 :] if word not in maps]
    if not names:
        raise GroundshiftError("there are no stations after SERIES; give .tenv3 or .csv files")
    if out is not None:
        if out.suffix.lower() != ".csv":
            raise OutputError(f"{out} must end in .csv")
        if not out.absolute().parent.is_dir():
            raise OutputError(f"the folder {out.parent} does not exist; make it")
        check_picture(out.with_suffix(".png"))
    if maps and sight is None:
        raise GroundshiftError("say what the GeoTIFFs are displacement along, with --sight")
    from groundshift import io, stations
    from groundshift.io.instruments import read_stations
    from groundshift.io.sights import open_los

    opened = open_los(maps, sight) if maps and sight is not None else io.open_field(series[0])
    found = stations.compare(
        opened, read_stations(names), radius=radius, days=days, relative=relative
    )
    typer.echo(
        f"{'station':<12}{'component':<11}{'dates':>5}{'RMSE m':>10}{'m/a':>10}{'station':>10}"
        f"{'± ':>9}{'68 %':>7}{'95 %':>7}"
    )
    for one in found:
        shares = "".join(
            f"{100 * share:>6.0f}%" if math.isfinite(share) else f"{'':>7}"
            for share in (one.within_68, one.within_95)
        )
        typer.echo(
            f"{one.station:<12}{one.component:<11}{one.dates:>5}{one.rmse:>10.4f}"
            f"{one.velocity:>10.3f}{one.velocity_station:>10.3f}{one.sigma_velocity:>9.3f}{shares}"
        )
    if out is None:
        return
    _write(out, found)
    from groundshift import plot

    picture = plot.stations_quicklook(found, out.with_suffix(".png"))
    typer.echo(f"wrote       {out}, {picture}")


def _write(path: Path, found: list[Any]) -> None:
    draft = path.with_name(f".{path.name}.fresh")
    with draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for one in found:
            values = (getattr(one, name) for name in COLUMNS)
            writer.writerow([f"{v:.6g}" if isinstance(v, float) else v for v in values])
    draft.replace(path)
