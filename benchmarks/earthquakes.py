"""Earthquakes moved within one image and between two dates: which of them a net should learn on."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch

import groundshift
from benchmarks import budget
from benchmarks.budget import RUNS
from benchmarks.report import Table, Value
from groundshift.matchers import default
from groundshift.matchers.whole import match_whole
from groundshift.metrics import score
from groundshift.nets.refine import learned
from groundshift.nets.weights import STANDARD
from groundshift.synth.bank import Bank
from groundshift.synth.stream import Item, Stream
from groundshift.train import PRESETS
from groundshift.train.presets import EARTHQUAKES
from groundshift.types import Matcher

SIZE = 256
ONE = replace(EARTHQUAKES, size=SIZE, spacing=(15.0, 15.0), moved=(0.3, 5.0))
RECIPES = {"one image": ONE, "two dates": replace(ONE, same=0.0, dates=1.0)}
STORES = {name: RUNS / f"earthquakes-{name.replace(' ', '-')}.zarr" for name in RECIPES}
STORED = 600
"""Samples, each used many times."""
BUDGETS = {name: budget.budget("earthquakes", 60, str(store)) for name, store in STORES.items()}
MINUTES = BUDGETS["one image"].minutes
NETS = ("flownets", "flownetsd", "strainnet")
PAIRS = 60
SEARCH = 8
SCORES = ("mae", "median", "near_6", "over_half", "density")

TITLE = "Earthquakes within one image and between two dates"
TEXT = f"""FlowNetS, FlowNetSD and StrainNet-f, compact (at most 0.8 million parameters), without a
search as published, each trained for {MINUTES:g} minutes of the processor's time in one thread (the
same number of steps on both kinds): on one optical image that earthquakes move (pre/pre), as
Montagnon et al. (2024) did, or on two dates of one place, the later of which is moved (pre/post),
which they left open; {STORED} pairs of pixels of 15 m, moved by 0.3 to 5 px at most, each used many
times. Then measured on {PAIRS} pairs of {SIZE} px of each kind, from the test split of places. They
report 0.078, 0.068 and 0.069 px (mean absolute error, pre/pre, 38 to 45 million parameters, 80
hours and more of a V100), on their own images; "nothing" is the mean of the displacement itself.
Beside them what `track` uses, with a search of {SEARCH} px. {budget.TEXT}"""


def pairs(name: str) -> Iterator[Item]:
    """Render the pairs of one kind that everything is measured on."""
    recipe = replace(RECIPES[name], split="test")
    bank = None if budget.BANK is None else Bank.open(budget.BANK)
    return iter(Stream(recipe, bank, stop=PAIRS, share=(0, 1)))


def scored(matcher: Matcher | None, samples: list[Item]) -> list[float]:
    """Mean scores of a matcher, or of no displacement at all."""
    found = []
    for sample in samples:
        flow = torch.zeros_like(sample["motion"])
        if matcher is not None:
            estimate = match_whole(matcher, sample["reference"], sample["secondary"])
            flow = torch.stack([estimate.dy, estimate.dx])
        found.append(
            score(flow, sample["motion"], None, distance=sample["distance"], scored=sample["valid"])
        )
    values = ([getattr(each, name) for each in found] for name in SCORES)
    return [fmean(v for v in each if v == v) for each in values]


def tables() -> list[Table]:
    """Train and measure everything."""
    matchers: dict[tuple[str, str], Matcher] = {}
    first: dict[str, Path] = {}
    for kind, recipe in RECIPES.items():
        groundshift.simulate(recipe, STORES[kind], STORED, bank=budget.BANK)
        for net in NETS:
            config = replace(PRESETS[f"{net}-compact"], recipe=recipe, guess="none", spoiled=0.0)
            folder = BUDGETS[kind].trained(f"{net} {kind}", config, first.get(net))
            first.setdefault(net, folder)
            matchers[net, kind] = learned(str(folder))
    matchers[f"the flagship ({STANDARD})", "everything"] = learned(STANDARD, SEARCH)
    matchers["default", ""] = default(SEARCH, stride=1)
    rows: list[list[Value]] = []
    for kind in RECIPES:
        samples = list(pairs(kind))
        rows.append([kind, "nothing", "", *scored(None, samples)])
        for (name, taught), matcher in matchers.items():
            rows.append([kind, name, taught, *scored(matcher, samples)])
    return [Table("Results", ("measured on", "matcher", "trained on", *SCORES), rows)]
