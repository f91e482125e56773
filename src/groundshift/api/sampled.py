"""What some cells of a stack tell about all of them, before any block is solved."""

from dataclasses import replace

import numpy as np
import torch

from groundshift.api.cubes import flat
from groundshift.inversion import Closing, Inversion, Network, expectation, invert


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
