"""What instruments on the ground measured: GNSS in files of the Nevada laboratory, tables."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from groundshift.errors import GroundshiftError
from groundshift.stations import Station

COLUMNS = (
    "station, time, longitude, latitude, and east, north, or displacement, azimuth; metres, "
    "degrees clockwise from north; optional: up, sigma_east, sigma_north, sigma_up, sigma, plunge"
)


def read_stations(paths: Sequence[str]) -> list[Station]:
    """Read stations: ``.tenv3`` files, ``.csv`` tables, and folders of these.

    Tables have a header and the columns `station, time, longitude, latitude`, and `east, north, up`
    or, of an extensometer, `displacement, azimuth` (and `plunge`, degrees downward).

    Raises
    ------
    GroundshiftError
        If a file cannot be read, or holds something else.
    """
    found: list[Station] = []
    for name in paths:
        path = Path(name)
        files = [path]
        if path.is_dir():
            files = sorted(p for p in path.iterdir() if p.suffix.lower() in {".tenv3", ".csv"})
        for file in files:
            found += _tenv3(file) if file.suffix.lower() == ".tenv3" else _table(file)
    if not found:
        raise GroundshiftError("there are no stations; give .tenv3 or .csv files, or a folder")
    return found


def _tenv3(path: Path) -> list[Station]:
    """Read a file of daily solutions (Blewitt et al. 2018, Eos 99)."""
    rows = [line.split() for line in _text(path).splitlines() if line.strip()]
    if rows and not "".join(rows[0][3:4]).isdigit():  # its header, where there is one
        rows = rows[1:]
    if len({len(row) for row in rows}) > 1:
        raise GroundshiftError(f"{path}: lines differ in their number of columns; download it anew")
    try:
        days = np.array([int(row[3]) for row in rows])
        parts = np.array([[float(v) for v in row[7:13]] for row in rows])
        noise = np.array([[float(v) for v in row[14:17]] for row in rows])
        # Whole metres and their fractions, which change together when a station crosses one.
        values = parts[:, 0::2] + parts[:, 1::2]
        latitude, longitude = float(rows[-1][20]), float(rows[-1][21])
        name = rows[0][0]
    except (ValueError, IndexError) as error:
        raise GroundshiftError(
            f"{path} is no .tenv3 file, or a part of one ({error}); download it anew, or give a "
            ".csv table"
        ) from error
    # A day's solution stands for its noon.
    noon = np.datetime64("1858-11-17T12:00", "ns")
    times = noon + days.astype("timedelta64[D]")
    longitude = (longitude + 180) % 360 - 180
    return [Station(name, longitude, latitude, times, values - values[0], noise)]


def _table(path: Path) -> list[Station]:
    rows = list(csv.DictReader(_text(path).splitlines()))
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(str(row.get("station", path.stem)), []).append(row)
    try:
        return [_station(name, group) for name, group in groups.items()]
    except (KeyError, ValueError, TypeError) as error:
        raise GroundshiftError(
            f"{path} is no table of stations ({type(error).__name__}: {error}); it needs the "
            f"columns {COLUMNS}"
        ) from error


def _station(name: str, rows: list[dict[str, Any]]) -> Station:
    times = np.array([np.datetime64(row["time"], "ns") for row in rows])
    order = np.argsort(times)
    rows = [rows[k] for k in order]
    direction = None
    if "displacement" in rows[0]:
        turn, dip = (
            np.deg2rad(float(rows[0].get(key) or 0) if key == "plunge" else float(rows[0][key]))
            for key in ("azimuth", "plunge")
        )
        direction = (
            float(np.sin(turn) * np.cos(dip)),
            float(np.cos(turn) * np.cos(dip)),
            float(-np.sin(dip)),
        )
        readings = _column(rows, "displacement")
        values = readings[:, None] * np.array(direction)
        sigma = np.repeat(_column(rows, "sigma", missing=True)[:, None], 3, 1)
    else:
        values = np.stack(
            [_column(rows, key, missing=key == "up") for key in ("east", "north", "up")], 1
        )
        sigma = np.stack(
            [_column(rows, f"sigma_{key}", missing=True) for key in ("east", "north", "up")], 1
        )
    place = float(rows[0]["longitude"]), float(rows[0]["latitude"])
    return Station(name, *place, times[order], values, sigma, direction)


def _column(rows: list[dict[str, Any]], name: str, *, missing: bool = False) -> np.ndarray:
    if missing and name not in rows[0]:
        return np.full(len(rows), np.nan)
    return np.array([float(row[name]) if row[name] not in {"", None} else np.nan for row in rows])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise GroundshiftError(f"{path} cannot be read: {error}") from error
