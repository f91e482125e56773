"""The verb ``simulate``: as many synthetic samples as wanted, on disk."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import dask
from dask.base import get_scheduler

from groundshift import settings
from groundshift.errors import GroundshiftError, ImageError, OutputError
from groundshift.io import samples as store
from groundshift.io.samples import Layout, Samples
from groundshift.synth.bank import Bank
from groundshift.synth.recipe import Recipe, check, draw
from groundshift.synth.rendering import one_thread, settle
from groundshift.synth.stream import SENSORS, families_of, item
from groundshift.tile.memory import cores

SHARD_PIXELS = 2**23
"""Of one plane in a shard, roughly."""
LARGEST_SHARD = 32
"""Samples: half a minute of work at 256 px."""
MEASURED = 16
"""Shards whose size on disk is looked at."""
EVERY = 0.5
"""Seconds between two looks at what is done."""
PACKAGES = ("groundshift", "torch", "numpy", "scipy")
"""Other versions of these can make other samples."""


class Progress(NamedTuple):
    """How far a run is."""

    done: int
    """Samples in the store."""
    before: int
    """Of these, samples that were there when it began."""
    total: int
    seconds: float
    """Since it began."""
    workers: int
    """That render at a time, as far as is known."""
    shards: int
    """Written by this run."""
    bytes_each: float
    """On disk per sample, of the shards looked at; 0 before the first."""

    @property
    def rate(self) -> float:
        """Samples per second of this run."""
        return (self.done - self.before) / max(self.seconds, 1e-9)


class _Job(NamedTuple):
    """All that a worker needs to know."""

    layout: Layout
    recipe: Recipe
    bank: str | None
    digest: str


def simulate(
    recipe: Recipe,
    out: Path | str,
    samples: int,
    *,
    bank: Path | str | None = None,
    start: int = 0,
    shard: int | None = None,
    workers: int | None = None,
    report: Callable[[Progress], None] | None = None,
) -> Samples:
    """Write synthetic samples to a Zarr store, or those of them that are not there yet.

    What a sample is follows from the recipe and its number alone. A run that was stopped, in
    whatever way, goes on when it is repeated.

    Parameters
    ----------
    recipe
        What to draw; :data:`groundshift.settings.RECIPES` reads one from YAML.
    out
        Folder to write; see :mod:`groundshift.io.samples.layout`.
    samples
        How many.
    bank
        File of texture of real images, from ``groundshift pack``.
    start
        Number of the first sample.
    shard
        Samples in a file; by default 8 of 1024 x 1024.
    workers
        Processes that render at a time, by default one for each core; 1 is this process alone.
        Where a scheduler of dask is set, or a client of ``dask.distributed`` is there, that one
        computes instead.
    report
        Called every half second, and when all is done, from another thread.

    Returns
    -------
    Samples
        The store, as a dataset for training.

    Raises
    ------
    OutputError
        When OUT is something else, or the store of another recipe, or the disk is full.
    """
    layout = _layout(Path(out), recipe, samples, start, shard)
    file = None if bank is None else str(bank)
    job = _Job(layout, recipe, file, "" if file is None else _digest(file))
    check(recipe, None if file is None else _bank(file, job.digest))
    store.create(layout, families_of(recipe), SENSORS, _facts(job))
    there = store.done(layout)
    todo = [k for k in range(layout.shards) if k not in there]
    count = max(1, min(workers or cores(), len(todo)))
    with _scheduler(count) as scheduler, _reporting(layout, count, report):
        tasks = [dask.delayed(_render, pure=False)(job, k) for k in todo]  # pyright: ignore[reportPrivateImportUsage]
        dask.compute(*tasks, **scheduler)  # pyright: ignore[reportPrivateImportUsage]
    return Samples(layout.path)


def _layout(out: Path, recipe: Recipe, samples: int, start: int, shard: int | None) -> Layout:
    if samples < 1 or start < 0 or (shard is not None and shard < 1):
        raise GroundshiftError(
            f"samples={samples}, start={start}, shard={shard}: pass samples=1 or more, start=0 or "
            "more and shard=1 or more"
        )
    if not out.parent.is_dir():
        raise OutputError(f"the folder {out.parent} does not exist; make it, or choose another OUT")
    if shard is None:
        shard = min(max(SHARD_PIXELS // recipe.size**2, 1), LARGEST_SHARD)
    return Layout(out.absolute(), samples, start, recipe.size, shard)


def _render(job: _Job, shard: int) -> None:
    """Render and write one shard."""
    texture = None if job.bank is None else _bank(job.bank, job.digest)
    families = families_of(job.recipe)
    items = []
    for position in job.layout.part(shard):
        index = job.layout.start + position
        try:
            with one_thread():
                items.append(item(draw(job.recipe, index, texture), index, families))
        except GroundshiftError as error:
            raise type(error)(f"sample {index}: {error}") from error
    store.write(job.layout, shard, items)


@lru_cache(maxsize=1)
def _bank(path: str, digest: str) -> Bank:
    """Open a bank, once in each process."""
    if _digest(path) != digest:
        raise ImageError(f"{path} has changed; leave it as it is until all samples are written")
    return Bank.open(path)


def _digest(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(
            f"cannot read the bank {path}: {error.strerror}; write one with groundshift pack"
        ) from error


def _facts(job: _Job) -> dict[str, Any]:
    """Provenance: what must be the same for the same samples."""
    facts: dict[str, Any] = {
        "recipe": settings.to_values(job.recipe),
        "software": {name: version(name) for name in PACKAGES},
        "bank": None,
        "licences": [],
    }
    if job.bank is None:
        return facts
    sources: dict[tuple[str, str, str], list[str]] = {}
    for stack in _bank(job.bank, job.digest).select(split=job.recipe.split):
        key = (stack.licence, stack.sensor, stack.source)
        sources.setdefault(key, []).append(stack.name)
    listed = [
        {"licence": licence, "sensor": sensor, "source": source, "textures": names}
        for (licence, sensor, source), names in sources.items()
    ]
    return facts | {"bank": {"sha256": job.digest}, "licences": listed}


@contextmanager
def _scheduler(workers: int) -> Iterator[dict[str, Any]]:
    """Give dask the scheduler that is set, or processes of our own.

    Processes and not threads: threads would share torch's and glibc's settings with whoever calls,
    and wait for each other where numpy computes.
    """
    if get_scheduler() is not None:
        yield {}
        return
    if workers == 1:
        yield {"scheduler": "synchronous"}
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=settle)
    try:
        yield {"scheduler": "processes", "pool": pool, "chunksize": 1}
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _reporting(
    layout: Layout, workers: int, report: Callable[[Progress], None] | None
) -> Iterator[None]:
    """Look at the store from a thread, whoever fills it."""
    if report is None:
        yield
        return
    began, ended = time.monotonic(), threading.Event()

    def count(shards: set[int]) -> int:
        return sum(len(layout.part(k)) for k in shards)

    there = store.done(layout)

    def look() -> None:
        now, seconds = store.done(layout), time.monotonic() - began
        some = set(sorted(now)[:MEASURED])
        each = sum(store.size_of(layout, k) for k in some) / max(count(some), 1)
        report(
            Progress(
                count(now),
                count(there),
                layout.samples,
                seconds,
                workers,
                len(now - there),
                each,
            )
        )

    def watch() -> None:
        while not ended.wait(EVERY):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        look()
