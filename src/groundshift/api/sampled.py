"""What some cells of a stack tell about all of them, before any block is solved."""

import logging
from dataclasses import replace

import numpy as np
import torch

from groundshift.api.cubes import flat
from groundshift.inversion import Closing, Inversion, Network, expectation, invert

log = logging.getLogger(__name__)


def prepared(
    network: Network, years: torch.Tensor, some: np.ndarray, how: Inversion, *, known: bool
) -> Inversion:
    """Add what smoothness mismatches are looked for under: the same for all blocks.

    Parameters
    ----------
    some
        As :func:`groundshift.api.cubes.sample` gives them.
    known
        Whether pairs know their sigma.
    """
    if how.loss != "tukey":
        return how
    observed, sigma = flat(some)
    found = expectation(network, years, observed, sigma if known else None, how.breaks)
    return replace(how, expected=found)


def closing_of(
    network: Network, years: torch.Tensor, some: np.ndarray, how: Inversion
) -> Closing | None:
    """Tell whether errors of pairs close, from what inverting some cells leaves."""
    observed, sigma = flat(some)
    found = invert(network, years, observed, sigma, how=how)
    return Closing.of(network, observed, sigma, found)


def knows_sigma(some: np.ndarray) -> bool:
    """Tell whether pairs know their sigma; warn of those that do not, or not all of them."""
    measured = np.isfinite(some[:2]).all(0)
    sigma = some[2:]
    if bool((measured & (sigma <= 0).any(0)).any()):
        log.warning(
            "sigma of some pairs is 0 or less where they were measured: these do not count there; "
            "give standard deviations"
        )
    if bool(np.isfinite(sigma).any()):
        return True
    log.warning("no pair knows its sigma: all count alike, and errors follow from residuals")
    return False
