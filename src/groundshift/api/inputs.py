"""The images that verbs are given: labelled, checked, and what their numbers mean."""

import logging
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from groundshift.errors import ImageError
from groundshift.io import radiometry as kinds
from groundshift.io.blocks import single

log = logging.getLogger(__name__)


def labelled(data: Any, role: str) -> xr.DataArray:
    """Return a labelled image; a bare array becomes one without georeferencing."""
    if not isinstance(data, xr.DataArray):
        if isinstance(data, str) or hasattr(data, "__fspath__"):
            raise ImageError(
                f"the {role} is a path; open it first: groundshift.open_image({str(data)!r})"
            )
        data = data if hasattr(data, "dask") else np.asarray(data)
        if data.ndim != 2:
            raise ImageError(f"the {role} has shape {data.shape}; give one 2-D band")
        data = xr.DataArray(
            data,
            dims=("y", "x"),
            coords={name: np.arange(size) for name, size in zip("yx", data.shape, strict=True)},
            attrs={"source": ""},
        )
    if data.dims != ("y", "x") or 0 in data.shape:
        raise ImageError(
            f"the {role} has dimensions {dict(data.sizes)}; give one band with dims ('y', 'x')"
        )
    if data.dtype.kind not in "fiubc":
        raise ImageError(f"the {role} holds {data.dtype} values, not numbers")
    wanted = np.dtype("complex64" if data.dtype.kind == "c" else "float32")
    convert = partial(single, missing=False, dtype=wanted, name=f"the {role}")
    if not hasattr(data.data, "dask"):
        return data.copy(data=convert(data.values))
    if data.dtype == wanted:
        return data
    return data.copy(data=data.data.map_blocks(convert, meta=np.empty((0, 0), wanted)))


def radiometry_of(
    reference: xr.DataArray, secondary: xr.DataArray, given: str | None, *, radar: bool = False
) -> str:
    """Return what both images' numbers mean; with `radar`, only optical names say optical."""
    if given is not None and given not in kinds.RADIOMETRIES:
        raise ImageError(
            f"radiometry={given!r} is not known; choose one of {', '.join(kinds.RADIOMETRIES)}"
        )
    if (reference.dtype.kind == "c") != (secondary.dtype.kind == "c"):
        roles = ("reference", "secondary")
        names = roles if reference.dtype.kind == "c" else roles[::-1]
        raise ImageError(
            f"the {names[0]} is complex and the {names[1]} is real; give two complex images or "
            "two detected ones"
        )
    if given is not None:
        return given
    first, second = (kinds.guess(image, radar=radar) for image in (reference, secondary))
    if first != second:
        log.warning(
            "the reference looks like %s and the secondary like %s; taking both as %s "
            "(say which with radiometry=)",
            first,
            second,
            first,
        )
    return first


def check_data(image: xr.DataArray, role: str) -> None:
    """Refuse an image without a single value; stops at the first block that has one."""
    blocks = getattr(image.data, "blocks", None)
    parts = [image.data] if blocks is None else blocks.ravel()
    for part in parts:
        if bool(np.isfinite(part).any()):
            return
    raise ImageError(
        f"the {role} ({source_of(image)}) holds no data at all; check its nodata value and its "
        "mask (nodata=, mask=)"
    )


def check_dates(reference: xr.DataArray, secondary: xr.DataArray) -> None:
    """Warn where the reference is the later image."""
    times = [time_of(image) for image in (reference, secondary)]
    if not np.isnat(times).any() and times[0] > times[1]:
        log.warning(
            "the reference (%s) is later than the secondary (%s): displacements point from the "
            "later to the earlier image, velocities forward in time",
            *(np.datetime_as_string(time, unit="s") for time in times),
        )


def time_of(image: xr.DataArray) -> np.datetime64:
    """Return the acquisition time, NaT if it is not known."""
    if "time" not in image.coords:
        return np.datetime64("NaT", "ns")
    return image.coords["time"].values.astype("datetime64[ns]")[()]


def source_of(image: xr.DataArray) -> str:
    """Name where an image is from."""
    return str(image.attrs.get("source", "")) or "array"


def history_of(steps: list[str]) -> str:
    """Write steps down with the time and the version, one a line."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return "\n".join(f"{now} groundshift {version('groundshift')} {step}" for step in steps)
