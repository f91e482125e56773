"""What a process that renders sample after sample needs: one thread, and memory that it keeps.

Sums over an image are split among threads, so that the last bits of a sample depend on how many
there are: each sample is rendered by one, and several are rendered at a time.
"""

import ctypes
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
"""Numbers of glibc's ``mallopt``."""
KEPT = 2**31 - 1
"""Bytes of free memory at the end of the heap that are not given back."""
AHEAD = 2**26
"""Bytes by which the heap grows at least."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread of torch inside this context."""
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def settle(_worker: int = 0) -> None:
    """Prepare a process that does nothing but render; it ends when its parent does.

    By default glibc maps each large plane anew and the system clears its pages, for up to two
    thirds of the time. Keeping freed memory takes no more of it at the peak.
    """
    torch.set_num_threads(1)
    keep_memory()
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_follow_parent, daemon=True).start()


def keep_memory() -> None:
    """Let this process keep the memory that it frees, for the next plane; glibc only."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((MMAP_MAX, 0), (TRIM_THRESHOLD, KEPT), (TOP_PAD, AHEAD)):
            mallopt(option, value)


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
