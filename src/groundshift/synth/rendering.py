"""What a process that renders sample after sample needs: one thread, and memory that it keeps.

Sums over an image are split among threads, so that the last bits of a sample depend on how many
there are: each sample is rendered by one, and several are rendered at a time.
"""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from groundshift.process import keep_memory


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
    """Prepare a process that does nothing but render; it ends when its parent does."""
    torch.set_num_threads(1)
    keep_memory()
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
