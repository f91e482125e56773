"""The verb ``export``."""

import logging
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from groundshift import field, timeseries
from groundshift.io.exchange import formats
from groundshift.io.exchange.points import Place

log = logging.getLogger(__name__)


def export(
    data: xr.Dataset | Sequence[xr.Dataset],
    out: Path | str,
    *,
    to: str | None = None,
    places: Sequence[Place] = (),
) -> list[Path]:
    """Write a stack of pairs or a history in the format of another program.

    Parameters
    ----------
    data
        A stack of pairs, displacement fields of one grid, or a history of :func:`invert`.
    out
        The output: a file, a folder of Zarr, or for GeoTIFFs a folder that is new.
    to
        ``itslive``, a cube of velocities like those of ITS_LIVE; ``ticoi``; ``mintpy``;
        ``geotiffs``, one for each pair or date; ``csv``, a table of points; ``groundshift``, our
        own. By default what the suffix says: ``.h5`` is of MintPy, ``.csv`` a table, none a folder.
    places
        Points, for a table.

    Returns
    -------
    list[Path]
        What was written: one output, or of a history for MintPy a file for each component.

    Raises
    ------
    GroundshiftError
        If the input cannot be used, or does not fit the format; the message has the remedy.
    """
    out = Path(out)
    name = formats.choose(out, to)
    if isinstance(data, xr.Dataset) and data.attrs.get("schema") == field.SCHEMA:
        data = [data]
    whole = data if isinstance(data, xr.Dataset) else timeseries.stack(list(data))
    check = timeseries.CHECKS.get(str(whole.attrs.get("schema")), timeseries.check_cube)
    written = formats.write(check(whole), out, name, places)
    log.info("wrote %s", ", ".join(map(str, written)))
    return written
