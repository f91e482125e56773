"""Vectors that are plainly wrong, at equal coverage: nets and fixed windows on speckle."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from benchmarks.report import Table, Value
from groundshift.benchmark.cases import Case
from groundshift.benchmark.run import centres
from groundshift.benchmark.suites import COHERENCES, LEAST_REACH, speckle
from groundshift.matchers import NCC, default
from groundshift.matchers.whole import match_whole
from groundshift.metrics import OUTLIER_RESIDUAL, median_residual, outliers
from groundshift.nets.refine import learned
from groundshift.nets.weights import STANDARD
from groundshift.types import Estimate, Matcher

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
rough fault, two pairs of each; a result each {STRIDE} px. An outlier is a vector with a normalised
median residual above 3 (Westerweel & Scarano 2005, 5 x 5 neighbours, 0.1 px, of errors, so that
real gradients are none), or one that is wrong by more than 1 px. "Raw" is all that fixed windows
give, "tested" what of it the same test on the displacement itself leaves, as speckle tracking is
used. Whichever of the two has more results is cut, by its own sigma, to as many as the other has:
"kept" is that share of cells."""


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
            alone = torch.stack([raw.dy, raw.dx]).where(there, torch.nan)
            fits = there & (median_residual(alone) <= OUTLIER_RESIDUAL)
            for (kind, kept), (own, found) in product(
                (("raw", there), ("tested", fits)), ours.items()
            ):
                measured = inner & ~torch.isnan(found.dy)
                n = min(int(kept.sum()), int(measured.sum()))
                wrong = [_wrong(raw, _best(raw, kept, n), truth)]
                wrong.append(_wrong(found, _best(found, measured, n), truth))
                both = torch.tensor([int(inner.sum()), n, *wrong])
                key = (name, kind, own)
                counts[key] = counts.get(key, torch.zeros_like(both)) + both
    rows: list[list[Value]] = []
    for key, each in counts.items():
        cells, kept, fixed, own = each.tolist()
        fewer = 1 - own / fixed if fixed else None
        rows.append([label, *key, kept / cells, fixed / max(1, kept), own / max(1, kept), fewer])
    return rows


def _best(found: Estimate, where: Tensor, count: int) -> Tensor:
    """Choose the cells of the smallest sigma."""
    sigma = torch.hypot(found.sigma_dy, found.sigma_dx).where(where, torch.nan)
    order = sigma.flatten().nan_to_num(torch.inf).argsort()[:count]
    chosen = torch.zeros_like(where).flatten()
    chosen[order] = True
    return chosen.reshape(where.shape)


def _wrong(found: Estimate, kept: Tensor, truth: Tensor) -> int:
    flow = torch.stack([found.dy, found.dx]).where(kept, torch.nan)
    return int((outliers(flow, truth) & kept).sum())
