"""When an image was taken: what its metadata say, else what its name says.

Tags that name the acquisition come first, then the file's name, and last the plain TIFF date, which
many programs set to the day of *processing*. Names are tried from the most to the least specific
pattern, because Landsat and Sentinel names hold several dates. Dates before 1960 or in the future
are not believed.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import PurePath

import numpy as np

from groundshift.errors import ImageError

log = logging.getLogger(__name__)

UNKNOWN = np.datetime64("NaT", "ns")

_DAY = r"(?P<date>\d{8})"
_CLOCK = r"(?:[T_](?P<clock>\d{6})(?!\d))?"
_MISSIONS = [
    rf"(?<![A-Z0-9])L[A-Z]\d\d_[A-Z0-9]{{2,4}}_\d{{6}}_{_DAY}_",  # Landsat collection and ARD
    r"(?<![A-Z0-9])L[A-Z]\d{7}(?P<year>\d{4})(?P<yday>\d{3})[A-Z]{3}\d\d",  # old Landsat scene
    rf"(?<![A-Z0-9])S1[A-D][-_][A-Z0-9]{{2,3}}[-_]\w+?[-_].*?(?<!\d){_DAY}{_CLOCK}",  # Sentinel-1
    rf"(?<![A-Z0-9])S2[A-D]_MSI\w{{3}}_{_DAY}{_CLOCK}",  # Sentinel-2 product
    rf"(?<![A-Z0-9])T\d\d[A-Z]{{3}}_{_DAY}{_CLOCK}",  # Sentinel-2 tile
    r"(?<![A-Z0-9])ALOS\d{10}-(?P<short>\d{6})(?!\d)",  # ALOS-2
]
_GENERAL = [
    r"(?<!\d)(?P<date>\d{4}-\d\d-\d\d)(?:[T_](?P<clock>\d\d:?\d\d:?\d\d))?(?!\d)",
    r"(?<!\d)(?P<date>\d{4}_\d\d_\d\d)(?!\d)",
    rf"(?<!\d){_DAY}[T_](?P<clock>\d{{6}})(?!\d)",
    rf"(?<!\d){_DAY}(?!\d)",
]
_ACQUISITION_TAGS = (
    "acquisitiondatetime",
    "acquisition_datetime",
    "acquisition_time",
    "acquisition_start_utc",
    "acquisition_date",
    "date_acquired",
    "sensing_time",
    "first_line_sensing_time",
    "datatake_1_datatake_sensing_start",
    "product_start_time",
    "start_time",
    "time_coverage_start",
    "datetime",
    "exif_datetimeoriginal",
)
_TIFF_TAG = "tifftag_datetime"
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def image_time(given: object, tags: Mapping[str, str], name: str) -> np.datetime64:
    """Acquisition time of an image; NaT when nothing tells it.

    Parameters
    ----------
    given
        What the user says: an ISO date or a datetime64; None to look for it.
    tags
        Metadata of the file and of the band.
    name
        Path of the file; the names of its folders count when they follow a mission's pattern.

    Raises
    ------
    ImageError
        When `given` is not a date.
    """
    if given is not None:
        return _given(given)
    lower = {key.lower(): str(value) for key, value in tags.items()}
    sources = (
        ("its metadata", _first(_parse(lower[tag]) for tag in _ACQUISITION_TAGS if tag in lower)),
        ("its metadata", _netcdf_time(tags)),
        ("its name", name_time(name)),
        ("its TIFF date, perhaps that of processing", _parse(lower.get(_TIFF_TAG, ""))),
    )
    for source, time in sources:
        if time is not None:
            log.debug("%s: time %s from %s", name, time, source)
            return time
    return UNKNOWN


def name_time(name: str) -> np.datetime64 | None:
    """Date in a file's name, or in the name of a product folder above it.

    Examples
    --------
    >>> str(name_time("LC08_L1TP_020007_20150804_20170406_01_T1_B8.tif"))[:10]
    '2015-08-04'
    >>> str(name_time("LT51200382000124BJC00"))[:10]
    '2000-05-03'
    >>> name_time("dem_30m.tif") is None
    True
    """
    parts = PurePath(name.replace("\\", "/")).parts[::-1]
    for part in parts:
        found = _first(_match(pattern, part) for pattern in _MISSIONS)
        if found is not None:
            return found
    return _first(_match(pattern, part) for pattern in _GENERAL for part in parts[:1])


def _given(value: object) -> np.datetime64:
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value.strip())
        if isinstance(value, datetime) and value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        return np.datetime64(value, "ns")  # type: ignore[call-overload]
    except (TypeError, ValueError) as error:
        raise ImageError(
            f"{value!r} is not a time; give one such as '2020-02-07' or '2020-02-07T14:30:00' (UTC)"
        ) from error


def _first(candidates: Iterator[np.datetime64 | None]) -> np.datetime64 | None:
    return next((time for time in candidates if time is not None), None)


def _match(pattern: str, text: str) -> np.datetime64 | None:
    return _first(_assemble(found) for found in re.finditer(pattern, text, re.IGNORECASE))


def _assemble(found: re.Match[str]) -> np.datetime64 | None:
    part = found.groupdict()
    try:
        if part.get("year"):
            day = int(part["yday"])
            if not 1 <= day <= 366:
                return None
            time = np.datetime64(part["year"], "D") + np.timedelta64(day - 1, "D")
        else:
            digits = re.sub(r"\D", "", part.get("date") or f"20{part.get('short')}")
            time = np.datetime64(f"{digits[:4]}-{digits[4:6]}-{digits[6:]}")
    except ValueError:  # month 13 and the like: these digits are no date
        return None
    clock = re.sub(r"\D", "", part.get("clock") or "")
    hours, minutes, seconds = (int(clock[i : i + 2] or 0) for i in (0, 2, 4))
    if hours < 24 and minutes < 60 and seconds < 60:
        time = time + np.timedelta64(hours * 3600 + minutes * 60 + seconds, "s")
    return _plausible(time)


def _parse(text: str) -> np.datetime64 | None:
    """ISO, or the EXIF form ``2020:02:07 14:30:00``."""
    form = r"(\d{4})[-:/]?(\d\d)[-:/]?(\d\d)(?:[T ](\d\d):?(\d\d):?(\d\d(?:\.\d{1,9})?))?"
    found = re.match(form, text.strip())
    if not found:
        return None
    year, month, day, hour, minute, second = found.groups()
    clock = f"T{hour}:{minute}:{second}" if hour else ""
    try:
        return _plausible(np.datetime64(f"{year}-{month}-{day}{clock}"))
    except ValueError:
        return None


def _netcdf_time(tags: Mapping[str, str]) -> np.datetime64 | None:
    """Time of a band of a netCDF variable, from the tags that GDAL makes of its coordinate."""
    unit = re.match(r"\s*([dhms])\w*\s+since\s+(.*)", tags.get("time#units", ""))
    value = tags.get("NETCDF_DIM_time", tags.get("NETCDF_DIM_time_VALUES", ""))
    origin = _parse(unit[2]) if unit else None
    if unit is None or origin is None:
        return None
    try:
        seconds = float(value.strip("{}")) * _UNITS[unit[1]]
    except ValueError:
        return None
    return _plausible(origin.astype("datetime64[ns]") + np.timedelta64(round(seconds * 1e9), "ns"))


def _plausible(time: np.datetime64) -> np.datetime64 | None:
    tomorrow = np.datetime64("today") + np.timedelta64(1, "D")
    return time.astype("datetime64[ns]") if np.datetime64("1960") <= time <= tomorrow else None
