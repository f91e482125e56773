"""Vectors that are plainly wrong, at equal coverage: nets and fixed windows on speckle."""

from collections.abc import Callable

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
WINDOWS = (32, 64, 128)
FIXED = {f"NCC {w} px": NCC(window=w, search=LEAST_REACH, stride=STRIDE) for w in WINDOWS}
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
used; "kept" is that share of cells. Ours is cut to the same share, by its own sigma, before
outliers are counted."""


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
    columns = ("product, coherence", "windows", "", "kept", "outliers", *OURS)
    fewer = tuple(f"{name}, fewer by" for name in OURS)
    return [Table("Outliers", (*columns, *fewer), rows)]


def _rows(label: str, cases: list[Case]) -> list[list[Value]]:
    """Compare on all pairs of some cases, as one."""
    counts: dict[tuple[str, str], Tensor] = {}
    for pair in (case.pair("test", number) for case in cases for number in range(case.pairs)):
        ours = [match_whole(make(), pair.reference, pair.secondary) for make in OURS.values()]
        y, x = centres(ours[0].dy.shape, STRIDE)
        inner = (torch.minimum(y, x) >= pair.margin) & (torch.maximum(y, x) < 512 - pair.margin)
        inner &= pair.valid[y.long(), x.long()]
        truth = torch.stack(pair.motion(y, x)).float()
        for name, matcher in FIXED.items():
            raw = match_whole(matcher, pair.reference, pair.secondary)
            there = inner & ~torch.isnan(raw.dy)
            alone = torch.stack([raw.dy, raw.dx]).where(there, torch.nan)
            fits = there & (median_residual(alone) <= OUTLIER_RESIDUAL)
            for kind, kept in (("raw", there), ("tested", fits)):
                found = [_wrong(raw, kept, truth)]
                found += [_wrong(own, _best(own, inner, int(kept.sum())), truth) for own in ours]
                both = torch.tensor([inner.sum(), kept.sum(), *found])
                counts[name, kind] = counts.get((name, kind), torch.zeros_like(both)) + both
    rows: list[list[Value]] = []
    for (name, kind), each in counts.items():
        cells, kept, fixed, *own = each.tolist()
        shares = [wrong / max(1, kept) for wrong in (fixed, *own)]
        fewer = [1 - wrong / fixed if fixed else None for wrong in own]
        rows.append([label, name, kind, kept / cells, *shares, *fewer])
    return rows


def _best(found: Estimate, where: Tensor, count: int) -> Tensor:
    """Choose the cells of the smallest sigma."""
    sigma = torch.hypot(found.sigma_dy, found.sigma_dx).where(where, torch.nan)
    order = sigma.flatten().nan_to_num(torch.inf).argsort()[:count]
    chosen = torch.zeros_like(where).flatten()
    chosen[order] = True
    return chosen.reshape(where.shape)


def _wrong(found: Estimate, kept: Tensor, truth: Tensor) -> int:
    """Count outliers; what has no result, where one is asked for, is one."""
    flow = torch.stack([found.dy, found.dx]).where(kept, torch.nan)
    wrong = outliers(flow, truth) | torch.isnan(flow[0])
    return int((wrong & kept).sum())
