"""How good a run's net is as users would have it: behind a real search, by the metrics of all."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from groundshift.matchers.whole import match_whole
from groundshift.metrics import score
from groundshift.nets.refine import learned
from groundshift.synth.bank import Bank
from groundshift.synth.recipe import Recipe
from groundshift.synth.stream import Item, Stream

SEARCH = 32
NAMES = ("mae", "p95", "over_half", "density", "within_68", "within_95", "near_6")
"""Of :class:`groundshift.metrics.Score`."""


def samples_of(recipe: Recipe, bank: Bank | None, count: int) -> list[Item]:
    """Render the first samples of a recipe's validation split."""
    return list(Stream(replace(recipe, split="validation"), bank, stop=count, share=(0, 1)))


def validate(run: Path, samples: Sequence[Item]) -> dict[str, float]:
    """Score the net of a run folder: medians over samples, of those that have a value."""
    matcher = learned(str(run), SEARCH)
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    for sample in samples:
        images = (sample[name].cpu() for name in ("reference", "secondary"))
        estimate = match_whole(matcher, *images)
        flow = torch.stack([estimate.dy, estimate.dx])
        sigma = torch.stack([estimate.sigma_dy, estimate.sigma_dx])
        values = score(
            flow, sample["motion"], sigma, distance=sample["distance"], scored=sample["valid"]
        )
        for name in NAMES:
            found[name].append(getattr(values, name))
    medians = {name: torch.tensor(each).nanmedian() for name, each in found.items() if each}
    return {name: float(value) for name, value in medians.items()}
