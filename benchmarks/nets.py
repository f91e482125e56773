"""Nets of the literature on equal terms: the same samples, the same time, the same suites.

``python -m benchmarks.nets NAME...`` trains them, and puts their weights into the package.
"""

import sys

from benchmarks import budget
from benchmarks.budget import STORE, mean
from benchmarks.real import FOLDER
from benchmarks.report import Table, Value
from groundshift.benchmark.cost import costs
from groundshift.benchmark.real import real
from groundshift.benchmark.suites import SUITES
from groundshift.nets.weights import STANDARD, load
from groundshift.train import PRESETS
from groundshift.train.presets import COMPACT
from groundshift.train.release import release

BUDGET = budget.budget("nets", 20, STORE)
MATCHER = "learned({!r}, search={{reach}})"
FLAGSHIP = f"the flagship ({STANDARD})"
BESIDE = {
    FLAGSHIP: MATCHER.format(STANDARD),
    "the search of all nets": "guessing(search={reach})",
    "default": "default(search={reach})",
    "NCC 32 px": "NCC(window=32, search={reach}, stride=8)",
    "NCC 64 px": "NCC(window=64, search={reach}, stride=8)",
}
SCORES = {
    "mae": "MAE px",
    "p95": "P95 px",
    "near_6": "within 6 px of faults",
    "outliers": "outliers",
    "density": "density",
    "within_68": "68 %",
    "within_95": "95 %",
    "ause": "AUSE",
}

TITLE = "Every net of the literature"
TEXT = f"""Compact versions (at most 0.8 million parameters, behind the search of the flagship),
as they come with the package: each trained for {BUDGET.minutes:g} minutes of the processor's time
in one thread, as `groundshift train NAME-compact` does, on the same 2,000 samples of `groundshift
simulate` (GROUNDSHIFT_BENCHMARK_STORE). As published they had 31 to 350 hours of a V100; these
numbers compare designs at the budget of a laptop, and say nothing of what they reach with more.
Means over the cases of the test split. The flagship had five hours; classical matchers need none.
Sigma of the nets follows from errors on validation samples where images correlated as much: the
least whose 68 and 95 % intervals both hold as much of them.
{budget.TEXT}"""


def tables() -> list[Table]:
    """Measure everything."""
    matchers: dict[str, str] = {}
    sizes: dict[str, list[Value]] = {}
    curves: list[list[Value]] = []
    for name in COMPACT:
        matchers[name] = MATCHER.format(weights := f"{name}-compact")
        sizes[name] = _size(weights)
        curves += [[name, *point] for point in load(weights).details["curve"]]
    matchers |= BESIDE
    sizes[FLAGSHIP] = _size(STANDARD)
    cases = [*(case for suite in SUITES.values() for case in suite()), *real(FOLDER)]
    records = BUDGET.measured(cases, list(matchers.values()))
    rows: list[list[Value]] = []
    for suite in dict.fromkeys(case.suite for case in cases):
        for name, expression in matchers.items():
            own = [r for r in records if (r.suite, r.matcher) == (suite, expression)]
            rows.append([suite, name, *(mean(own, score) for score in SCORES)])
    spent = costs(list(matchers.values()), "faults")
    nets: list[list[Value]] = [
        [name, *sizes.get(name, [None] * 3), cost.cpu, cost.memory]
        for name, cost in zip(matchers, spent, strict=True)
    ]
    columns = ("parameters", "steps", "hours, with samples", "CPU s per Mpx", "GB per Mpx")
    return [
        Table("Nets", ("matcher", *columns), nets),
        Table("Results", ("suite", "matcher", *SCORES.values()), rows),
        Table("Learning curves", ("net", "step", "error in training, px"), curves),
    ]


def _size(weights: str) -> list[Value]:
    """Parameters, steps and hours, those of the weights that they began with included."""
    net, details = load(weights)
    runs = [details, *details.get("before", ())]
    spent = (sum(run[key] for run in runs) for key in ("steps", "hours"))
    return [sum(p.numel() for p in net.parameters()), *spent]


def main() -> None:
    """Train nets by their names, and release them."""
    for name in sys.argv[1:]:
        release(BUDGET.trained(name, PRESETS[f"{name}-compact"]), f"{name}-compact")


if __name__ == "__main__":
    main()
