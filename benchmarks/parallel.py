"""Run independent jobs in processes of one thread each: sooner done than in turn."""

import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

import torch

from groundshift.benchmark.run import ONE_THREAD


def each(
    function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]], workers: int = 2
) -> list[Any]:
    """Call the function with the arguments of every job; results in the order of the jobs."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    with ProcessPoolExecutor(
        workers, get_context("spawn"), torch.set_num_threads, initargs=(1,)
    ) as pool:
        futures = [pool.submit(function, *job) for job in jobs]
        for done, _ in enumerate(as_completed(futures), 1):
            print(f"{done} of {len(futures)} done", file=sys.stderr)
        return [future.result() for future in futures]
