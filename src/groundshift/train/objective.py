"""What a step of training wants of a net, by its kind: the loss, and parts of it for the log."""

from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.nets.any import AnyNet, Direct
from groundshift.nets.coherence import CoherenceNet, regressed_loss
from groundshift.nets.direct import regress, through
from groundshift.nets.fusion import Fusion
from groundshift.nets.images import Images
from groundshift.nets.losses import Truth, error_scale, loss, scales_loss, stages_loss, unlike_loss
from groundshift.synth.stream import Item
from groundshift.train.config import TrainConfig

SQUARES, UNLIKELY = 50.0, 0.3
"""Weights of the two parts of :func:`groundshift.nets.coherence.regressed_loss`."""


class Outcome(NamedTuple):
    """Of a batch."""

    total: Tensor
    """To be made small."""
    parts: dict[str, Tensor]
    """For the log: of the loss of the last iteration; the root mean square error of a coherence
    ("rmse"), or the errors in pixels of a displacement ("pixels") and of the first guess
    ("guess"), where there is a truth."""
    flow: Tensor | None = None
    """Displacement of each pixel, ``(B, 2, H, W)``; of a net that tells coherence none."""


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
    if isinstance(net, CoherenceNet):
        estimate = net(batch["reference"], batch["secondary"])
        known = batch["valid"] & torch.isfinite(batch["coherence"])
        square, unlikely = regressed_loss(estimate, batch["coherence"], known)
        parts = {"unlikely": unlikely.detach(), "rmse": square.detach().sqrt()}
        return Outcome(SQUARES * square + UNLIKELY * unlikely, parts)
    truth = truth_of(batch)
    total, parts, flow = _displacement(config, net, batch, guess, truth, step)
    if bool(truth.measurable.any()):
        parts["pixels"] = mean_error(flow.detach(), truth)
        parts["guess"] = mean_error(guess[0], truth)
    return Outcome(total, parts, flow)


def _displacement(
    config: TrainConfig,
    net: Fusion | Direct,
    batch: Item,
    guess: tuple[Tensor, Tensor],
    truth: Truth,
    step: int,
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Return the loss of a displacement, its parts, and the displacement ``(B, 2, H, W)``."""
    flow, known = guess
    reference = torch.where(known, batch["reference"], torch.nan)
    if isinstance(net, Fusion):
        iterations = 1 if step < config.first else None
        found = net(reference, batch["secondary"], flow, iterations)
        total, parts = loss(found, truth, config.weights)
        return total, parts, found.predictions[-1].flow
    images = Images.of(reference, batch["secondary"])
    found = regress(net, images, flow)
    if config.objective == "alike":
        last = found[-1].flow
        seen, there = through(images, last)
        both = images.reference, seen
        total = unlike_loss(*both, there, last, found[-1].known > 0, config.smooth)
        return total, {"unlike": total.detach()}, last
    if len(found) > 1:
        total = stages_loss([each.flow for each in found], truth.motion, truth.measurable)
        return total, {"stages": total.detach()}, found[-1].flow
    (only,) = found
    total = scales_loss(only.flows, truth.motion - only.shift, truth.measurable)
    return total, {"scales": total.detach()}, only.flow


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
