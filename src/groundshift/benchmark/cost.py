"""What a matcher costs: time and memory of one pair, in a process of its own."""

import os
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.benchmark.chosen import expression, matcher_of
from groundshift.benchmark.run import ONE_THREAD
from groundshift.matchers.whole import match_whole
from groundshift.synth.sample import demo_pair

SIZE = 1024
CORNER = 320
"""Side of what is matched first, so that everything is imported and compiled."""


class Cost(NamedTuple):
    """Of a million pixels of each image, in one thread."""

    matcher: str
    wall: float
    """Seconds."""
    cpu: float
    """Seconds of the processor."""
    memory: float
    """GB at the peak beyond what the process held before, images included."""
    nodes: float
    """Results per second of wall time."""


def costs(matchers: Sequence[str], suite: str) -> list[Cost]:
    """Measure each matcher, one after the other, with the search range of a suite."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    sample = demo_pair(seed=1, size=SIZE)
    measured = []
    for text in matchers:
        with ProcessPoolExecutor(
            1, get_context("spawn"), torch.set_num_threads, initargs=(1,)
        ) as pool:
            job = pool.submit(_cost, text, suite, sample.reference, sample.secondary)
            measured.append(job.result())
    return measured


def _cost(text: str, suite: str, reference: Tensor, secondary: Tensor) -> Cost:
    text = expression(text, suite)
    matcher = matcher_of(text)
    match_whole(matcher, *(image[:CORNER, :CORNER].clone() for image in (reference, secondary)))
    held, wall, cpu = _resident(), time.perf_counter(), time.process_time()
    found = match_whole(matcher, reference, secondary)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    mpx = reference.numel() / 1e6
    nodes = float((~torch.isnan(found.dy)).sum())
    return Cost(text, wall / mpx, cpu / mpx, max(_peak() - held, 0.0) / mpx, nodes / wall)


def _peak() -> float:
    """Peak resident memory of this process so far, GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _resident() -> float:
    """Resident memory now, GB; where the system does not say, the peak so far."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return _peak()
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e9
