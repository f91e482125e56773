"""Warns where a net is used on images unlike those that it was trained on."""

import logging
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import torch
import xarray as xr

from groundshift.coherent import Learned
from groundshift.io.radiometry import windows_of
from groundshift.nets import domain
from groundshift.nets.refine import Refine
from groundshift.nets.regress import Regress
from groundshift.nets.weights import load
from groundshift.types import PairOperator

log = logging.getLogger(__name__)


def unlike(operator: PairOperator, images: dict[str, xr.DataArray]) -> str:
    """Say in what images differ from those that the nets of an operator were trained on.

    Parameters
    ----------
    operator
        With or without nets.
    images
        As they are compared, by their roles.

    Returns
    -------
    str
        Empty if they are alike, or if nobody knows.
    """
    spans = [load(net.weights).details.get("span", {}) for net in _nets(operator)]
    if not any(spans):
        return ""
    said = []
    for role, image in images.items():
        found = domain.statistics(torch.from_numpy(windows_of(image, domain.SIDE)))
        said += [f"{role}: {each}" for span in spans for each in domain.strange(found, span)]
    return "; ".join(said)


def unfinished(operator: PairOperator) -> None:
    """Warn of nets whose training is not complete."""
    for net in _nets(operator):
        step = load(net.weights).details.get("step")
        if step is not None:
            log.warning(
                "the training of %s stopped at step %d: its sigma is not calibrated; go on with "
                "groundshift train",
                net.weights,
                step,
            )


def warn(text: str, other: str = "--matcher default") -> None:
    """Warn of what `unlike` said, and tell the remedy: to compare with another, and to train."""
    log.warning(
        "the images are unlike those that the net was trained on (%s): its sigma may be wrong; "
        "compare with %s, or train on images like these (groundshift train)",
        text,
        other,
    )


def _nets(part: Any) -> Iterator[Refine | Regress | Learned]:
    if isinstance(part, Refine | Regress | Learned):
        yield part
    elif isinstance(part, tuple):
        for each in part:
            yield from _nets(each)
    elif is_dataclass(part):
        for each in fields(part):
            yield from _nets(getattr(part, each.name))
