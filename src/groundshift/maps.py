"""Maps of coherence, of its decay, and of fitted motion: results beside displacement fields."""

from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from groundshift.errors import GroundshiftError
from groundshift.field import CONVENTIONS, scalar_time
from groundshift.grid import coordinates, geobox_of, output_geobox


class Kind(NamedTuple):
    """Of map."""

    schema: str
    title: str
    command: str
    """That makes it."""
    attrs: dict[str, dict[str, str]]
    """Attributes of every variable."""
    step: float | None = None
    """Values are multiples of it: digits that mean nothing cannot be compressed."""
    least: tuple[str, ...] | None = None
    """Variables that every such map has; by default all."""


COHERENCE = Kind(
    "groundshift-coherence/1",
    "Coherence of two radar images",
    "groundshift coherence",
    {
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
    },
    step=1 / 4096,  # the least sigma has 40 of them; a third of the file
)
DECAY = Kind(
    "groundshift-decay/1",
    "Decay of the coherence of a stack of radar images",
    "groundshift decay",
    {
        "rest": {
            "long_name": "coherence that stays",
            "units": "1",
            "ancillary_variables": "sigma_rest misfit pairs",
        },
        "tau": {
            "long_name": "time in which the remainder falls to 1/e",
            "units": "d",
            "ancillary_variables": "sigma_tau misfit pairs",
        },
        "sigma_rest": {"long_name": "standard deviation of the coherence that stays", "units": "1"},
        "sigma_tau": {
            "long_name": "standard deviation of the natural logarithm of tau",
            "units": "1",
        },
        "misfit": {"long_name": "root mean square residual in units of sigma", "units": "1"},
        "pairs": {"long_name": "number of pairs that were measured", "units": "1"},
    },
)
NUMBERS = {
    "velocity": ("velocity", "m year-1"),
    "acceleration": ("acceleration", "m year-2"),
    "cosine": ("amplitude of the yearly cosine, which begins at the first date", "m"),
    "sine": ("amplitude of the yearly sine, which begins at the first date", "m"),
    "cosine_0.5": ("amplitude of the half-yearly cosine", "m"),
    "sine_0.5": ("amplitude of the half-yearly sine", "m"),
    "step": ("jump at an event", "m"),
    "relaxation": ("all of the motion after an event that ebbs away by an exponential", "m"),
    "afterslip": ("motion after an event, for each e-fold of time, by a logarithm", "m"),
}
"""What motion is made of: what it is called, and its units; those of several events end in 2, 3,
and so on, up to 9."""
EVENTS = ("step", "relaxation", "afterslip")


def _fitted() -> dict[str, dict[str, str]]:
    """Attributes of the numbers that describe a motion, along x and y, and of their sigma."""
    found: dict[str, dict[str, str]] = {}
    for name, (said, units) in NUMBERS.items():
        for end in ("", *"23456789") if name in EVENTS else ("",):
            for axis in "xy":
                own = f"{name}{end}_{axis}"
                text = f"{said}{f' {end}' if end else ''}, along {axis}"
                about = {"long_name": text, "units": units, "ancillary_variables": f"sigma_{own}"}
                found[own] = about
                found[f"sigma_{own}"] = {
                    "long_name": f"standard deviation of the {text}",
                    "units": units,
                }
    misfit = "standard deviation of the residuals of the pairs in units of sigma"
    return found | {"misfit": {"long_name": misfit, "units": "1"}}


FIT = Kind(
    "groundshift-fit/1",
    "Motion of a few terms, fitted to the pairs of a stack",
    "groundshift fit",
    _fitted(),
    least=("misfit",),
)
KINDS = {kind.schema: kind for kind in (COHERENCE, DECAY, FIT)}
ATTRS = {name: attrs for kind in KINDS.values() for name, attrs in kind.attrs.items()}
"""Attributes of every variable of any kind."""


def build(
    kind: Kind,
    planes: Any,
    geobox: GeoBox,
    *,
    stride: int,
    reference_time: np.datetime64 | None = None,
    secondary_time: np.datetime64 | None = None,
    attrs: dict[str, Any],
) -> xr.Dataset:
    """Label what was measured.

    Parameters
    ----------
    kind
        What it is.
    planes
        A named tuple, or a dict, of its variables, numpy or dask arrays ``(rows, columns)``.
    geobox
        Grid of the *image*; cells are `stride` pixels wide and begin at its corner.
    reference_time, secondary_time
        Acquisition times, of a stack the first and the last; unknown when None or NaT.
    attrs
        What else is known, ``history`` for example.
    """
    named = planes if isinstance(planes, dict) else planes._asdict()
    shape = tuple(next(iter(named.values())).shape)
    grid = output_geobox(geobox, stride)[: shape[0], : shape[1]]
    encoding = {} if grid.crs is None else {"grid_mapping": "spatial_ref"}
    return xr.Dataset(
        {
            name: (("y", "x"), _stepped(named[name], kind.step), dict(attrs_of), dict(encoding))
            for name, attrs_of in kind.attrs.items()
            if name in named
        },
        coords=coordinates(grid)
        | {
            "reference_time": scalar_time("reference_time", reference_time),
            "secondary_time": scalar_time("secondary_time", secondary_time),
        },
        attrs={
            "Conventions": CONVENTIONS,
            "title": kind.title,
            "schema": kind.schema,
            "software": f"groundshift {version('groundshift')}",
            "stride": int(stride),
            **attrs,
        },
    )


def _stepped(plane: Any, step: float | None) -> Any:
    plane = plane.astype(np.float32)
    return plane if step is None else (plane / np.float32(step)).round() * np.float32(step)


def kind_of(dataset: xr.Dataset) -> Kind | None:
    """Return the kind of map that a dataset says it is; None if it says nothing of the sort."""
    return KINDS.get(str(dataset.attrs.get("schema")))


def check(dataset: xr.Dataset, kind: Kind) -> xr.Dataset:
    """Return a map if it is one of a kind; say what is missing if not."""
    missing = [name for name in kind.least or kind.attrs if name not in dataset.data_vars]
    if missing:
        name = kind.command.split()[1]
        raise GroundshiftError(
            f"not a map of {name}: {', '.join(missing)} missing; pass the output of "
            f"`{kind.command}`"
        )
    geobox_of(dataset)
    return dataset
