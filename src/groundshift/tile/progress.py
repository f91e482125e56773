"""Computing with local threads, and a progress bar that counts tiles."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from dask import config  # pyright: ignore[reportPrivateImportUsage]
from dask.callbacks import Callback

from groundshift.tile.memory import cores

TASK = "groundshift-tile"
"""Begins the name of each tile's task."""


@contextmanager
def computing(*, progress: bool | None = None) -> Iterator[None]:
    """Compute with local threads inside this context, with a progress bar on a terminal.

    Parameters
    ----------
    progress
        Whether to draw the bar on stderr; by default if stderr is a terminal.
    """
    show = sys.stderr.isatty() if progress is None else progress
    with ExitStack() as stack:
        stack.enter_context(config.set(scheduler="threads", num_workers=cores()))
        if show:
            stack.enter_context(Progress())
        yield


class Progress(Callback):
    """A one-line progress bar on stderr that counts tiles."""

    def __init__(self) -> None:
        super().__init__()
        self._total = self._done = 0
        self._began = time.monotonic()

    def _start_state(self, dsk: Any, state: Any) -> None:
        self._total = sum(TASK in str(key) for key in dsk)
        self._done = 0
        self._began = time.monotonic()
        self._draw()

    def _posttask(self, key: Any, *_: Any) -> None:
        if TASK in str(key):
            self._done += 1
            self._draw()

    def _finish(self, *_: Any) -> None:
        if self._total:
            sys.stderr.write("\n")
            sys.stderr.flush()

    def _draw(self) -> None:
        if not self._total:
            return
        share = self._done / self._total
        elapsed = time.monotonic() - self._began
        bar = ("#" * round(30 * share)).ljust(30, "-")
        left = f"{_clock(elapsed / share - elapsed)} left" if self._done else "starting"
        if self._done == self._total:
            left = f"done in {_clock(elapsed)}"
        sys.stderr.write(f"\r[{bar}] {share:4.0%}  {left:<18}")
        sys.stderr.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
