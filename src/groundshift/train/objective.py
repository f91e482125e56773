"""What a step of training wants of a net, by its kind: loss, its parts, and the displacement."""

from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.nets.any import AnyNet
from groundshift.nets.direct import regress, through
from groundshift.nets.fusion import Fusion
from groundshift.nets.images import Images
from groundshift.nets.losses import Truth, error_scale, loss, scales_loss, stages_loss, unlike_loss
from groundshift.synth.stream import Item
from groundshift.train.config import TrainConfig


class Outcome(NamedTuple):
    """Of a batch."""

    total: Tensor
    """To be made small."""
    parts: dict[str, Tensor]
    """For the log."""
    flow: Tensor
    """Displacement of each pixel, ``(B, 2, H, W)``."""


def outcome(
    config: TrainConfig, net: AnyNet, batch: Item, guess: tuple[Tensor, Tensor], step: int
) -> Outcome:
    """Run a net on a batch and compare it with the truth.

    Parameters
    ----------
    config, net
        What is trained.
    batch
        Samples.
    guess
        First guess, ``(B, 2, H, W)``, and where there is one.
    step
        Of the run.
    """
    flow, known = guess
    reference = torch.where(known, batch["reference"], torch.nan)
    truth = truth_of(batch)
    if isinstance(net, Fusion):
        iterations = 1 if step < config.first else None
        found = net(reference, batch["secondary"], flow, iterations)
        total, parts = loss(found, truth, config.weights)
        return Outcome(total, parts, found.predictions[-1].flow)
    images = Images.of(reference, batch["secondary"])
    found = regress(net, images, flow)
    if config.objective == "alike":
        last = found[-1].flow
        seen, there = through(images, last)
        total = unlike_loss(images.reference, seen, there, last, config.smooth)
        return Outcome(total, {"unlike": total.detach()}, last)
    if len(found) > 1:
        total = stages_loss([each.flow for each in found], truth.motion, truth.measurable)
        return Outcome(total, {"stages": total.detach()}, found[-1].flow)
    (only,) = found
    total = scales_loss(only.flows, truth.motion - only.shift, truth.measurable)
    return Outcome(total, {"scales": total.detach()}, only.flow)


def truth_of(batch: Item) -> Truth:
    """Take from a batch what it should give."""
    scale = error_scale(batch["coherence"], batch["bandwidth"])
    measurable = batch["measurable"]
    seen = batch["valid"] | measurable
    return Truth(batch["motion"], seen, measurable, batch["distance"], scale)


def mean_error(flow: Tensor, truth: Truth) -> Tensor:
    """Mean absolute error, pixels."""
    error = (flow - truth.motion).abs().mean(1)
    return (error * truth.measurable).sum() / truth.measurable.sum().clamp(min=1)
