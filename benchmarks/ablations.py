"""What each part of the learned matcher is worth: nets that were trained without it."""

from dataclasses import replace
from pathlib import Path

from benchmarks import budget
from benchmarks.budget import mean
from benchmarks.report import Table, Value
from groundshift.benchmark.run import run
from groundshift.benchmark.suites import SUITES
from groundshift.nets.calibrated import UNCALIBRATED
from groundshift.nets.fusion import FusionConfig
from groundshift.nets.weights import NAME, keep, load
from groundshift.train import PRESETS, TrainConfig

BUDGET = budget.budget("ablations", 10)
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
TEXT = f"""Each net was trained for {BUDGET.minutes:g} minutes of the processor's time in one
thread, as `groundshift train` does (samples are rendered beside it), and ends with the rate at
nothing, so that all had the same budget; the one that comes with the package had far more. Means
over the cases of the suites' validation split, one pair of each. "without calibration" is S with
its sigma as training left it. {budget.TEXT}"""


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
        folder = BUDGET.trained(name, config)
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
            rows.append([suite, name, *(mean(own, score) for score in SCORES)])
    columns = ("net", "parameters", "steps", "hours, with rendering")
    return [
        Table("Nets", columns, list(sizes.values())),
        Table("Results", ("suite", "net", *SCORES), rows),
    ]
