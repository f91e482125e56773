"""What ground that did not move tells of the pairs of a stack."""

import logging
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr

from groundshift.api import coregistration
from groundshift.api.cubes import flat
from groundshift.errors import GroundshiftError
from groundshift.grid.motion import NMAD
from groundshift.inversion import Network, image_noise
from groundshift.inversion import invert as solve
from groundshift.inversion.system import fitted
from groundshift.timeseries import MOVING

log = logging.getLogger(__name__)

FEWEST = 30
"""Stable cells from which the median of a pair counts."""
LOOKED_AT = 2048
"""Stable cells that tell the noise of images, at most."""


class Stable(NamedTuple):
    """Pairs on stable ground."""

    medians: np.ndarray
    """Of the displacements of each pair, ``(2, pairs)``; NaN where next to nothing was measured."""
    cells: np.ndarray
    """``dx, dy, sigma_dx, sigma_dy`` of some cells, medians taken off, ``(4, pairs, cells)``."""


def of_stable(cube: xr.Dataset, stable: xr.DataArray | np.ndarray) -> Stable:
    """Read the stable ground of all pairs."""
    inside = coregistration.on_cells(stable, cube["dx"].isel(pair=0))
    count = int(inside.sum())
    some = np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).round().astype(int))
    medians = np.full((2, cube.sizes["pair"]), np.nan, np.float32)
    cells = np.full((len(MOVING), cube.sizes["pair"], some.size), np.nan, np.float32)
    for k in range(cube.sizes["pair"]):
        for n, name in enumerate(MOVING):
            values = cube[name][k].values[inside]
            cells[n, k] = values[some]
            values = values[np.isfinite(values)]
            if n < len(medians) and values.size >= FEWEST:
                medians[n, k] = np.median(values)
    lost = int(np.isnan(medians).any(0).sum())
    if lost == cube.sizes["pair"]:
        raise GroundshiftError(
            f"no pair has {FEWEST} cells or more on stable ground; give a larger mask"
        )
    if lost:
        log.warning("%d pair(s) have next to nothing on stable ground and are left out", lost)
    cells[:2] -= medians[:, :, None]
    return Stable(medians, cells)


def noise_to_use(
    stable: Stable | None, given: float | None, network: Network, years: torch.Tensor
) -> torch.Tensor:
    """Return the noise of whole images, ``(dates, 2)``: as given, or as stable ground shows."""
    if given is not None and not (np.isfinite(given) and given >= 0):
        raise GroundshiftError(
            f"image_noise={given} is no standard deviation; give metres, 0 for none"
        )
    if given is None and stable is not None:
        return noise_of_images(network, years, stable.cells)
    return torch.full((network.dates, 2), given or 0.0, dtype=torch.float64)


def attrs_of(noise: torch.Tensor) -> dict[str, list[float]]:
    """Return the noise of whole images as attributes, one number for each date."""
    return {f"image_noise_{axis}": each.tolist() for axis, each in zip("xy", noise.T, strict=True)}


def noise_of_images(network: Network, years: torch.Tensor, cells: np.ndarray) -> torch.Tensor:
    """Tell from cells of stable ground how wrong each image is, ``(dates, 2)``.

    Parameters
    ----------
    cells
        As in :class:`Stable`.
    """
    observed, sigma = flat(cells)
    known = bool(torch.isfinite(sigma).any())
    found = solve(network, years, observed, sigma if known else None, between=True)
    apart = fitted(network, found.position)
    seen = NMAD * (apart - apart.nanmedian(-1, keepdim=True).values).abs().nanmedian(-1).values
    noise = image_noise(network, seen, found.between.nanmedian(-1).values)
    if bool(torch.isnan(noise).any()):
        log.warning(
            "stable ground does not tell how wrong images are: standard deviations take pairs as "
            "independent"
        )
        return torch.zeros_like(noise)
    said = ", ".join(f"{value:.3g}" for value in noise.median(0).values.tolist())
    log.info("stable ground: noise of whole images of %s (median, x and y)", said)
    return noise
