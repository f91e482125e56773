"""Whether matchers know what they do not know: hidden ground, and images that share nothing."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from benchmarks.report import Table, Value
from groundshift.benchmark.views import MODES
from groundshift.matchers import default
from groundshift.matchers.whole import match_whole
from groundshift.metrics import roc_auc, score
from groundshift.nets.refine import learned
from groundshift.nets.weights import STANDARD
from groundshift.synth import radar
from groundshift.synth.fields import random_field
from groundshift.synth.likeness import ALIKE
from groundshift.synth.motions import Constant
from groundshift.synth.radar import Surface
from groundshift.synth.recipe import Recipe
from groundshift.synth.sample import COHERENT
from groundshift.synth.stream import SENSORS, Item, Stream
from groundshift.types import Estimate, Matcher

SEARCH = 32
PAIRS = 60
"""Of each sensor, drawn as for training."""
SIZE = 320
EVERY = 4
"""Of rows and columns, of which one counts."""
LEAST = 0.01
"""Of a pair's cells, that must be hidden and open for it to count."""
UNRELATED = 4
"""Pairs of each kind that share nothing."""
MATCHERS: dict[str, Callable[[], Matcher]] = {
    "learned": lambda: learned(STANDARD, SEARCH),
    "default": lambda: default(SEARCH, stride=1),
}

TITLE = "What is not known"
TEXT = f"""Pairs as for training, from the test split and without a bank of texture: {PAIRS} of each
sensor, {SIZE} px wide. Labelled as hidden is what opaque cloud covers on either date or a rupture
swallows, radar ground of a coherence below {COHERENT} whose backscatter is not alike either, and
optical ground around which both dates correlate by less than {ALIKE} along some direction: under
snow, in shade where noise exceeds texture, and stripes. A twelfth of the pairs are hidden
altogether, which is easy to tell. What leaves the image is not counted. "AUC" is the area under the
ROC curve of the score with which a matcher reports that a pixel can be measured, against those
labels (what it left out scores lowest): over all pixels of a sensor, and the median of pairs with
{LEAST:.0%} or more of each. "Left out" are the shares of hidden and of open ground without a
result. AUSE is the median over all pairs.

Unrelated: {UNRELATED} pairs of independent images; every result is wrong. "Density" is the share
that has one, "within 2 sigma" the share of components of those that two sigma cover, and "pattern"
the correlation of results 32 px apart."""


def hidden_of(sample: Item) -> Tensor:
    """Tell what is labelled as hidden among what stays in the image: 1, 0, or -1 for neither."""
    rows, columns = (torch.arange(n, dtype=torch.float32) for n in sample["valid"].shape)
    dy, dx = sample["motion"]
    y, x = rows[:, None] + dy, columns + dx
    edge = 8
    inside = (y > edge) & (y < SIZE - 1 - edge) & (x > edge) & (x < SIZE - 1 - edge)
    return torch.where(inside, (~sample["measurable"]).to(torch.int8), -1)


def samples(sensor: str) -> Iterator[Item]:
    """Render pairs of one sensor."""
    recipe = replace(Recipe(size=SIZE), split="test", radar=float(sensor == SENSORS[0]))
    return iter(Stream(recipe, None, stop=PAIRS, share=(0, 1)))


def hidden() -> list[list[Value]]:
    """Measure how well hidden ground is told."""
    rows: list[list[Value]] = []
    for sensor in SENSORS:
        pairs = list(samples(sensor))
        for name, make in MATCHERS.items():
            matcher = make()
            told, labels, each, spread = [], [], [], []
            for sample in pairs:
                found = match_whole(matcher, sample["reference"], sample["secondary"])
                label = hidden_of(sample)[::EVERY, ::EVERY].flatten()
                value = found.score.nan_to_num(-1.0)[::EVERY, ::EVERY].flatten()
                value, label = value[label >= 0], label[label >= 0] > 0
                told.append(value)
                labels.append(label)
                if LEAST < float(label.float().mean()) < 1 - LEAST:
                    each.append(roc_auc(-value, label))
                spread.append(_ause(found, sample))
            whole, where = torch.cat(told), torch.cat(labels)
            left = [float((whole[part] < 0).float().mean()) for part in (where, ~where)]
            middle = float(np.median(each)) if each else None
            auc = (roc_auc(-whole, where), middle, len(each))
            rows.append([sensor, name, *auc, *left, float(np.nanmedian(spread))])
    return rows


def _ause(found: Estimate, sample: Item) -> float:
    flow, sigma = torch.stack([found.dy, found.dx]), torch.stack([found.sigma_dy, found.sigma_dx])
    return score(flow, sample["motion"], sigma, scored=sample["valid"]).ause


def _speckle(mode: str) -> Callable[[torch.Generator], tuple[Tensor, Tensor]]:
    def pair(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        one = torch.ones(())
        surface = Surface(one * 0, one, one, one * 0j)
        pair = radar.acquire(MODES[mode], surface, Constant(0.0, 0.0), SIZE, generator)
        return pair.reference, pair.secondary

    return pair


def _noise(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    one, two = torch.randn(2, SIZE, SIZE, generator=generator)
    return one, two


def _terrain(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    one, two = (random_field((SIZE, SIZE), 0.5, 40.0, generator, smoothness=0.7) for _ in "ab")
    return one, two


KINDS = {
    "white noise": _noise,
    "speckle, SLC x2": _speckle("SLC x2"),
    "speckle, GRD": _speckle("GRD"),
    "fractal brightness": _terrain,
}


def unrelated() -> list[list[Value]]:
    """Measure what is found where there is nothing to find."""
    rows: list[list[Value]] = []
    for kind, pair in KINDS.items():
        for name, make in MATCHERS.items():
            matcher, found = make(), []
            for seed in range(UNRELATED):
                found.append(match_whole(matcher, *pair(torch.Generator().manual_seed(seed))))
            flow = torch.stack([torch.stack([f.dy, f.dx]) for f in found])
            sigma = torch.stack([torch.stack([f.sigma_dy, f.sigma_dx]) for f in found])
            known = ~torch.isnan(flow)
            if not known.any():
                rows.append([kind, name, 0.0, None, None, None, None])
                continue
            size, spread = flow[known].abs(), sigma[known]
            within = float((size <= 2 * spread).float().mean())
            medians = (float(size.median()), float(spread.median()))
            share = float(known.float().mean())
            rows.append([kind, name, share, *medians, within, _pattern(flow)])
    return rows


def _pattern(flow: Tensor) -> float | None:
    """Correlate results with those 32 px to the right."""
    one, two = flow[..., :-32], flow[..., 32:]
    both = ~(torch.isnan(one) | torch.isnan(two))
    if int(both.sum()) < 100:
        return None
    return float(torch.corrcoef(torch.stack([one[both], two[both]]))[0, 1])


def tables() -> list[Table]:
    """Run everything."""
    columns = (
        *("sensor", "matcher", "AUC", "AUC, median", "pairs"),
        *("left out, hidden", "left out, open", "AUSE"),
    )
    other = ("images", "matcher", "density", "median |d|", "median sigma", "within 2 sigma")
    return [
        Table("Hidden ground", columns, hidden()),
        Table("Unrelated images", (*other, "pattern"), unrelated()),
    ]
