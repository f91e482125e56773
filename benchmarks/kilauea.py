"""Kilauea in the summer of 2016: interferometry along the line of sight beside GNSS."""

import os
import tempfile
import zipfile
from pathlib import Path

from benchmarks.report import Table, Value
from groundshift import stations
from groundshift.io.instruments import read_stations
from groundshift.io.sights import open_los

FOLDER = Path(os.environ.get("GROUNDSHIFT_SERIES", "../shared/data/series"))
RADIUS, RELATIVE = 60.0, "CNPK"
"""Metres around a station that are averaged, and the station that all is relative to."""

TITLE = "Kilauea: a series beside instruments"
TEXT = f"""`groundshift compare` of five maps of displacement along the line of sight, 11 July to 21
September 2016, made from Sentinel-1 by other software (`GROUNDSHIFT_SERIES`, no part of the
package), with the GNSS stations of the Nevada Geodetic Laboratory that lie on them: cells within
{RADIUS:g} m, relative to {RELATIVE}. RMSE is that of the differences, their mean taken away; the
velocity is that of both at the common dates, with the standard deviation of their difference from
the scatter around it. The maps know no sigma, so that no interval is judged."""


def tables() -> list[Table]:
    """Compare."""
    place = FOLDER / "ts_kilauea_insar_gnss"
    with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(place / "unr.zip") as file:
        file.extractall(name)
        gnss = read_stations([str(path) for path in sorted(Path(name).rglob("*.tenv3"))])
    maps = [str(path) for path in sorted(place.glob("displacement_*.tif"))]
    seen = open_los(maps, str(place / "hawaii_los_enu.tif"))
    found = stations.compare(seen, gnss, radius=RADIUS, relative=RELATIVE)
    rows: list[list[Value]] = [
        [
            one.station,
            one.dates,
            1e3 * one.rmse,
            1e3 * one.velocity,
            1e3 * one.velocity_station,
            1e3 * one.sigma_velocity,
        ]
        for one in found
    ]
    columns = ("station", "dates", "RMSE mm", "mm a year", "station's", "sigma of the difference")
    return [Table("Stations", columns, rows)]
