"""Vectors that are plainly wrong, at equal coverage: nets and fixed windows on speckle."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from benchmarks import coverage
from benchmarks.report import Table, Value
from groundshift.benchmark.cases import Case
from groundshift.benchmark.run import centres
from groundshift.benchmark.suites import COHERENCES, LEAST_REACH, speckle
from groundshift.matchers import NCC, default
from groundshift.matchers.whole import match_whole
from groundshift.nets.refine import learned
from groundshift.nets.weights import STANDARD
from groundshift.types import Matcher

STRIDE = 8
MODES = ("SLC x2", "GRD")
WINDOWS = (32, 64)
FIXED = {
    f"NCC {w} px": NCC(window=w, search=LEAST_REACH, stride=STRIDE, false_alarm=1.0)
    for w in WINDOWS
}
OURS: dict[str, Callable[[], Matcher]] = {
    "learned": lambda: learned(STANDARD, LEAST_REACH, STRIDE),
    "default": lambda: default(LEAST_REACH, STRIDE),
}

TITLE = "Outliers at equal coverage"
TEXT = f"""The test split of the suite `speckle`, without aliased products: a shift, waves, and a
rough fault, two pairs of each; a result each {STRIDE} px. {coverage.TEXT}"""


def tables() -> list[Table]:
    """Run everything."""
    rows: list[list[Value]] = []
    for mode in MODES:
        for coherence in COHERENCES:
            cases = [
                case
                for case in speckle()
                if case.table == mode and case.column.startswith(f"{coherence:g} ")
            ]
            rows += _rows(f"{mode}, {coherence:g}", cases)
    columns = ("product, coherence", "windows", "", "ours", "kept", "windows' outliers")
    return [Table("Outliers", (*columns, "our outliers", "fewer by"), rows)]


def _rows(label: str, cases: list[Case]) -> list[list[Value]]:
    """Compare on all pairs of some cases, as one."""
    counts: dict[tuple[str, str, str], Tensor] = {}
    for pair in (case.pair("test", number) for case in cases for number in range(case.pairs)):
        ours = {k: match_whole(make(), pair.reference, pair.secondary) for k, make in OURS.items()}
        y, x = centres(next(iter(ours.values())).dy.shape, STRIDE)
        inner = (torch.minimum(y, x) >= pair.margin) & (torch.maximum(y, x) < 512 - pair.margin)
        inner &= pair.valid[y.long(), x.long()]
        truth = torch.stack(pair.motion(y, x)).float()
        for name, matcher in FIXED.items():
            raw = match_whole(matcher, pair.reference, pair.secondary)
            there = inner & ~torch.isnan(raw.dy)
            tested = coverage.passing(raw, there)
            for (kind, kept), (own, found) in product(
                (("raw", there), ("tested", tested)), ours.items()
            ):
                measured = inner & ~torch.isnan(found.dy)
                n = min(int(kept.sum()), int(measured.sum()))
                wrong = [
                    coverage.wrong(each, where, n, truth)
                    for each, where in ((raw, kept), (found, measured))
                ]
                both = torch.tensor([int(inner.sum()), n, *wrong])
                key = (name, kind, own)
                counts[key] = counts.get(key, torch.zeros_like(both)) + both
    rows: list[list[Value]] = []
    for key, each in counts.items():
        cells, kept, fixed, own = each.tolist()
        fewer = 1 - own / fixed if fixed else None
        rows.append([label, *key, kept / cells, fixed / max(1, kept), own / max(1, kept), fewer])
    return rows
