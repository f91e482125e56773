"""How many tiles are worked on at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Gate:
    """Lets a number of tiles run at once, each with its share of torch's threads.

    It travels with the graph, so that the memory plan holds for any ``compute()``. In another
    process it starts afresh.
    """

    def __init__(self, workers: int, threads: int) -> None:
        self._settings = (workers, threads)
        self._slots = threading.BoundedSemaphore(workers)

    def __reduce__(self) -> tuple[type["Gate"], tuple[int, int]]:
        return type(self), self._settings

    def __dask_tokenize__(self) -> str:
        return "gate"  # how many run at once does not change a result

    @contextmanager
    def running(self) -> Iterator[None]:
        """Wait for a place, and keep it inside this context."""
        with self._slots:
            # Torch's thread count belongs to the calling thread.
            before = torch.get_num_threads()
            torch.set_num_threads(self._settings[1])
            try:
                yield
            finally:
                torch.set_num_threads(before)
