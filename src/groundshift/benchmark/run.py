"""Run matchers on cases: one job for each pair, in processes of one thread."""

import logging
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.benchmark.cases import Case, Pair
from groundshift.benchmark.chosen import expression, is_foreign, matcher_of
from groundshift.benchmark.real import RealCase
from groundshift.matchers.whole import match_whole
from groundshift.metrics import Score, rise, score
from groundshift.synth.motions import distance_of
from groundshift.synth.rendering import settle
from groundshift.types import Matcher

log = logging.getLogger(__name__)

AnyCase = Case | RealCase
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Read by libraries when they are imported: threads that wait for a busy core burn it."""


class Record(NamedTuple):
    """What one matcher scored on one pair."""

    suite: str
    table: str
    column: str
    number: int
    matcher: str
    """Its expression, with `{reach}` where that was filled in."""
    ratio: float | None
    """Mean absolute error over the limit of incoherent tracking in a window of 32 px."""
    score: dict[str, float | None]
    failed: bool = False
    """Whether a foreign matcher raised an error instead."""

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        """What was measured, without the result."""
        return self[:5]


def run(
    cases: Sequence[AnyCase],
    matchers: Sequence[str],
    split: str,
    *,
    workers: int = 1,
    done: Iterable[Record] = (),
) -> Iterator[Record]:
    """Measure each matcher on each pair of each case; records come as they are ready.

    Parameters
    ----------
    cases, matchers
        What is measured.
    split
        "train", "validation" or "test".
    workers
        Processes of one thread each; with one, this process works, as it is.
    done
        Records of an earlier run, which are not repeated.
    """
    known = {record.key for record in done}
    jobs = []
    for case in cases:
        for number in range(case.pairs):
            place = (case.suite, case.table, case.column, number)
            missing = tuple(m for m in matchers if (*place, m) not in known)
            if missing:
                jobs.append((case, number, missing, split))
    if not jobs:
        return
    if workers == 1:
        for job in jobs:
            yield from measure(*job)
        return
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    with ProcessPoolExecutor(
        min(workers, len(jobs)), get_context("spawn"), initializer=settle
    ) as pool:
        for future in as_completed([pool.submit(measure, *job) for job in jobs]):
            yield from future.result()


def ordered(
    records: Iterable[Record], cases: Sequence[AnyCase], matchers: Sequence[str]
) -> list[Record]:
    """Keep the records of these cases and matchers, in their order."""
    places = {(c.suite, c.table, c.column): i for i, c in enumerate(cases)}
    kept = [r for r in records if r.key[:3] in places and r.matcher in matchers]
    return sorted(kept, key=lambda r: (places[r.key[:3]], r.number, matchers.index(r.matcher)))


def measure(case: AnyCase, number: int, matchers: Sequence[str], split: str) -> list[Record]:
    """Render one pair and score each matcher on it; one of another package may fail."""
    pair = case.pair(split, number)
    records = []
    for text in matchers:
        matcher = matcher_of(expression(text, case.suite))
        failed = False
        try:
            found = scored(matcher, pair)
        except Exception as error:
            # Of others' code: the rest of a long run goes on. Ours has no such right.
            if not is_foreign(text):
                raise
            place = f"{case.suite}, {case.table}, {case.column}, pair {number}"
            log.warning("%s failed on %s (%r): counted as no result", text, place, error)
            failed = True
            found = dict.fromkeys((*Score._fields, "rise"), math.nan) | {"density": 0.0}
        ratio = found["mae"] / pair.limit
        values = {name: _number(value) for name, value in found.items()}
        records.append(
            Record(
                case.suite, case.table, case.column, number, text, _number(ratio), values, failed
            )
        )
    return records


def scored(matcher: Matcher, pair: Pair) -> dict[str, float]:
    """Score a matcher on a pair, against the motion at the very centres of its cells.

    Returns the statistics of :class:`groundshift.metrics.Score`, and the rise of fault steps.
    """
    estimate = match_whole(matcher, pair.reference, pair.secondary)
    found = torch.stack((estimate.dy, estimate.dx))
    sigma = torch.stack((estimate.sigma_dy, estimate.sigma_dx))
    y, x = centres(estimate.dy.shape, matcher.stride)
    shape = pair.valid.shape
    inner = torch.ones_like(y, dtype=torch.bool)
    for at, size in ((y, shape[0]), (x, shape[1])):
        inner &= (at >= pair.margin) & (at <= size - 1 - pair.margin)
    nearest = (at.round().long().clamp(0, n - 1) for at, n in zip((y, x), shape, strict=True))
    counts = inner & pair.valid[tuple(nearest)]
    truth = torch.stack(pair.motion(y, x)).float()
    distance = distance_of(pair.motion, y, x).float()
    values = score(found, truth, sigma=sigma, distance=distance, scored=counts)._asdict()
    return values | {"rise": _rise(found.where(counts, torch.nan), pair, matcher.stride)}


def _rise(found: Tensor, pair: Pair, stride: int) -> float:
    """Sharpness of faults inside the margin, from the truth of every pixel."""
    y, x = centres(pair.valid.shape, 1)
    cells = -(-pair.margin // stride)
    edge = cells * stride
    inner = (..., slice(edge, -edge), slice(edge, -edge))
    y, x = y[inner], x[inner]
    distance = distance_of(pair.motion, y, x)
    if bool(torch.isinf(distance).all()):
        return math.nan
    found = found[..., cells:-cells, cells:-cells]
    return rise(found, torch.stack(pair.motion(y, x)), distance, stride)


def centres(shape: tuple[int, ...], stride: int) -> tuple[Tensor, Tensor]:
    """Coordinates of the centres of cells, pixels."""
    places = ((torch.arange(n, dtype=torch.float64) + 0.5) * stride - 0.5 for n in shape)
    y, x = torch.meshgrid(*places, indexing="ij")
    return y, x


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if math.isfinite(value) else None
