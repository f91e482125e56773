"""What each part of the learned matcher is worth: nets that were trained without it."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.report import Table, Value
from groundshift.benchmark.run import Record, run
from groundshift.benchmark.suites import SUITES
from groundshift.nets.calibrated import UNCALIBRATED
from groundshift.nets.fusion import FusionConfig
from groundshift.nets.weights import NAME, keep, load
from groundshift.synth.bank import Bank
from groundshift.train import PRESETS, TrainConfig, train

RUNS = Path(os.environ.get("GROUNDSHIFT_BENCHMARK_RUNS", "runs/ablations"))
BANK = os.environ.get("GROUNDSHIFT_BENCHMARK_BANK")
MINUTES = float(os.environ.get("GROUNDSHIFT_BENCHMARK_MINUTES", "10"))
TIMED = 12
"""Steps that tell how many fit into the time."""
SMALL = replace(PRESETS["small"], samples=24)
VARIANTS: dict[str, TrainConfig] = {
    "S": SMALL,
    "M": replace(PRESETS["medium"], samples=24),
    "L": replace(PRESETS["large"], samples=24),
    "S without the first iteration": replace(SMALL, net=FusionConfig(settle=False)),
    "S without a search": replace(SMALL, guess="none"),
    "S trained on the same image, moved": replace(
        SMALL, recipe=replace(SMALL.recipe, radar=1.0, lost=0.0, coherence=(1.0, 1.0))
    ),
}
MATCHER = "learned({!r}, search={{reach}})"
CHOSEN = {"speckle": 1, "optical": 1, "faults": 1, "glaciers": 1, "zero": 1}
"""Pairs of each case of a suite."""
SCORES = ("mae", "near_6", "over_half", "density", "within_68", "within_95", "ause")

TITLE = "The learned matcher without its parts"
TEXT = f"""Each net was trained for {MINUTES:g} minutes of the processor's time in one thread, as
`groundshift train` does (samples are rendered beside it), and ends with the rate at nothing, so
that all had the same budget; the one that comes with the package had far more. Means over the cases
of the suites' validation split, one pair of each. "without calibration" is S with its sigma as
training left it. GROUNDSHIFT_BENCHMARK_BANK names the bank of texture,
GROUNDSHIFT_BENCHMARK_RUNS where runs are kept: what was trained before is not trained again."""


def trained(name: str, config: TrainConfig) -> Path:
    """Train a variant within its time, or take it from an earlier run."""
    folder = RUNS / name.replace(" ", "-").replace(",", "")
    if not (folder / NAME).exists():
        bank = None if BANK is None else Bank.open(BANK)
        torch.set_num_threads(1)
        steps = folder / "steps.json"
        if not steps.exists():
            folder.mkdir(parents=True, exist_ok=True)
            steps.write_text(json.dumps(_affordable(config, folder / "timed", bank)))
        whole = replace(config, steps=json.loads(steps.read_text()))
        train(whole, folder, bank, workers=1)
    return folder


def _affordable(config: TrainConfig, folder: Path, bank: Bank | None) -> int:
    """Count the steps that fit into the time, from the processor time of a few."""
    train(replace(config, steps=2, warmup=1, samples=0), folder, bank, workers=1)
    began = time.process_time()
    train(replace(config, steps=2 + TIMED, warmup=1, samples=0), folder, bank, workers=1)
    return round(60 * MINUTES * TIMED / (time.process_time() - began))


def uncalibrated(folder: Path) -> Path:
    """Return a copy of a run whose sigma is as training left it."""
    net, details = load(str(folder))
    copy = folder / "uncalibrated"
    copy.mkdir(exist_ok=True)
    keep(net, copy / NAME, {**details, "temperatures": UNCALIBRATED})
    return copy


def tables() -> list[Table]:
    """Train and measure everything."""
    matchers: dict[str, str] = {}
    sizes: dict[str, list[Value]] = {}
    for name, config in VARIANTS.items():
        folder = trained(name, config)
        matchers[name] = MATCHER.format(str(folder))
        net, details = load(str(folder))
        count = sum(p.numel() for p in net.parameters())
        sizes[name] = [name, count, details["steps"], details["hours"]]
        if name == "S":
            other = uncalibrated(folder)
            matchers["S without calibration"] = MATCHER.format(str(other))
    matchers["the default"] = "default(search={reach})"
    cases = [
        replace(case, pairs=pairs) for suite, pairs in CHOSEN.items() for case in SUITES[suite]()
    ]
    records = list(run(cases, list(matchers.values()), "validation", workers=2))
    rows: list[list[Value]] = []
    for suite in CHOSEN:
        for name, expression in matchers.items():
            own = [r for r in records if (r.suite, r.matcher) == (suite, expression)]
            rows.append([suite, name, *(_mean(own, score) for score in SCORES)])
    columns = ("net", "parameters", "steps", "hours, with rendering")
    return [
        Table("Nets", columns, list(sizes.values())),
        Table("Results", ("suite", "net", *SCORES), rows),
    ]


def _mean(records: list[Record], name: str) -> float | None:
    values = [r.score.get(name) for r in records]
    known = [value for value in values if value is not None and value == value]
    return sum(known) / len(known) if known else None
