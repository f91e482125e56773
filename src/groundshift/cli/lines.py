"""Lines of what the commands print, and the samples that they tell of."""

import re
import shutil
import textwrap
from typing import Any

import numpy as np
import xarray as xr

from groundshift import field

SAMPLE = 2000
"""Cells or pixels read along each axis at most; statistics are of every so many of them."""


def width() -> int:
    """Return the columns that a line may have."""
    return min(shutil.get_terminal_size((100, 24)).columns, 100)


def wrapped(text: str, first: int, rest: int) -> list[str]:
    """Break into lines, without the marks that docstrings have."""
    plain = re.sub(r":\w+:(?=`)|`", "", text).rstrip()
    return textwrap.wrap(
        plain,
        width(),
        initial_indent=" " * first,
        subsequent_indent=" " * rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def thinned(data: Any) -> tuple[Any, int]:
    """Take every so many cells along each axis, and say how many."""
    step = max(1, -(-max(data.sizes["y"], data.sizes["x"]) // SAMPLE))
    return data.isel(y=slice(None, None, step), x=slice(None, None, step)), step


def share(values: np.ndarray) -> str:
    """Tell how many per cent are known."""
    return field.percent(np.isfinite(values).mean() if values.size else 0.0)


def unit_of(result: xr.Dataset) -> str:
    """Return the unit of a displacement: pixels or metres."""
    return "px" if result["dx"].attrs.get("units") == "pixel" else "m"
