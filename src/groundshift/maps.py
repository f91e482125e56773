"""Maps of coherence: the labelled result beside displacement fields."""

from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from groundshift.errors import GroundshiftError
from groundshift.field import CONVENTIONS, scalar_time
from groundshift.grid import coordinates, geobox_of, output_geobox

SCHEMA = "groundshift-coherence/1"
ATTRS: dict[str, dict[str, str]] = {
    "coherence": {
        "long_name": "magnitude of the interferometric coherence",
        "units": "1",
        "ancillary_variables": "sigma valid",
    },
    "sigma": {"long_name": "standard deviation of the coherence", "units": "1"},
    "valid": {
        "long_name": "1 where coherence is told from none, 0 where it is not",
        "units": "1",
    },
}
"""Attributes of every variable."""


def build(
    planes: Any,
    geobox: GeoBox,
    *,
    stride: int,
    reference_time: np.datetime64 | None = None,
    secondary_time: np.datetime64 | None = None,
    attrs: dict[str, Any],
) -> xr.Dataset:
    """Label what an operator of :mod:`groundshift.coherent` measured.

    Parameters
    ----------
    planes
        ``coherence, sigma, valid``, numpy or dask arrays ``(rows, columns)``.
    geobox
        Grid of the *image*; cells are `stride` pixels wide and begin at its corner.
    reference_time, secondary_time
        Acquisition times; unknown when None or NaT.
    attrs
        What else is known, ``history`` for example.
    """
    named = planes._asdict()
    shape = tuple(named["coherence"].shape)
    grid = output_geobox(geobox, stride)[: shape[0], : shape[1]]
    encoding = {} if grid.crs is None else {"grid_mapping": "spatial_ref"}
    return xr.Dataset(
        {
            name: (("y", "x"), named[name].astype(np.float32), dict(ATTRS[name]), dict(encoding))
            for name in ATTRS
        },
        coords=coordinates(grid)
        | {
            "reference_time": scalar_time("reference_time", reference_time),
            "secondary_time": scalar_time("secondary_time", secondary_time),
        },
        attrs={
            "Conventions": CONVENTIONS,
            "title": "Coherence of two radar images",
            "schema": SCHEMA,
            "software": f"groundshift {version('groundshift')}",
            "stride": int(stride),
            **attrs,
        },
    )


def is_map(dataset: xr.Dataset) -> bool:
    """Whether a dataset says that it is a map of coherence."""
    return dataset.attrs.get("schema") == SCHEMA


def check(dataset: xr.Dataset) -> xr.Dataset:
    """Return a map of coherence if it is one; say what is missing if not."""
    missing = [name for name in ATTRS if name not in dataset.data_vars]
    if missing:
        raise GroundshiftError(
            f"not a map of coherence: {', '.join(missing)} missing; pass the output of "
            "`groundshift coherence`"
        )
    geobox_of(dataset)
    return dataset
