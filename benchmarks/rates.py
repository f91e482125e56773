"""How fast samples are made, and what they take on disk."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from benchmarks.report import Table, Value
from groundshift import process, simulate
from groundshift.synth.bank import Bank
from groundshift.synth.recipe import Recipe, draw
from groundshift.synth.rendering import one_thread, settle
from groundshift.synth.stream import Stream

COUNTS = {256: 48, 1024: 12}
"""Samples by size."""
BANK = os.environ.get("GROUNDSHIFT_BENCHMARK_BANK")
LARGE = 100_000

TITLE = "Rate of synthetic samples"
TEXT = f"""The default recipe, {"texture of a bank" if BANK else "without a bank"}, the first
{" and ".join(f"{n} samples of {size} px" for size, n in COUNTS.items())}. Processor seconds are of
one thread in a process that keeps its memory, as all workers do; on a shared machine they are the
robust number, wall time says what else ran. Memory is the peak of the process, imports and bank
included. GROUNDSHIFT_BENCHMARK_BANK names a bank."""


def costs(size: int, count: int) -> dict[str, object]:
    """Render samples one by one in this process, which has been prepared like a worker."""
    settle()
    bank = None if BANK is None else Bank.open(BANK)
    draw(Recipe(size=64), 0, bank)
    rows = []
    for index in range(count):
        wall, cpu = time.perf_counter(), time.process_time()
        with one_thread():
            found = draw(Recipe(size=size), index, bank)
        rows.append(
            (found.family, found.sensor, time.process_time() - cpu, time.perf_counter() - wall)
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"rows": rows, "memory": peak}


def loaded(size: int, count: int, workers: int) -> float:
    """Samples per second of wall time through a loader."""
    bank = None if BANK is None else Bank.open(BANK)
    stream = iter(Stream(Recipe(size=size), bank).loader(workers))
    next(stream)
    began = time.perf_counter()
    for _ in range(count):
        next(stream)
    return count / (time.perf_counter() - began)


def on_gpu(size: int, count: int) -> tuple[float, float]:
    """Samples per second in this process on CUDA, and the peak of its memory in GB."""
    bank = None if BANK is None else Bank.open(BANK)
    stream = iter(Stream(Recipe(size=size), bank, device="cuda"))
    next(stream)
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(count):
        next(stream)
    torch.cuda.synchronize()
    return count / (time.perf_counter() - began), torch.cuda.max_memory_allocated() / 1e9


def stored(size: int, count: int) -> tuple[float, float]:
    """Bytes per sample in a store, and seconds of wall time per sample to read one."""
    with tempfile.TemporaryDirectory() as folder:
        samples = simulate(Recipe(size=size), Path(folder) / "s.zarr", count, bank=BANK, workers=2)
        total = sum(f.stat().st_size for f in samples.path.rglob("*") if f.is_file())
        began = time.perf_counter()
        for position in range(count):
            samples[position]
        return total / count, (time.perf_counter() - began) / count


def tables() -> list[Table]:
    """Run everything."""
    rates: list[list[Value]] = []
    kinds: list[list[Value]] = []
    for size, count in COUNTS.items():
        found = _in_subprocess(size, count)
        rows = found["rows"]
        cpu = float(np.mean([row[2] for row in rows]))
        wall = float(np.mean([row[3] for row in rows]))
        each, reading = stored(size, max(count // 3, 4))
        gpu = on_gpu(size, count)[0] if torch.cuda.is_available() else None
        rates.append(
            [
                size, 1 / cpu, 1 / wall, loaded(size, count // 2, 2), gpu, found["memory"],
                each / 1e6, 1e3 * reading, LARGE * cpu / 3600, LARGE * each / 1e12,
            ]
        )  # fmt: skip
        own: dict[tuple[str, str], list[float]] = defaultdict(list)
        for family, sensor, seconds, _ in rows:
            own[family, "all"].append(seconds)
            own["all", sensor].append(seconds)
        kinds += [
            [size, *kind, len(values), float(np.mean(values)), max(values),
             sum(values) / (cpu * len(rows))]
            for kind, values in sorted(own.items(), key=lambda item: -sum(item[1]))
        ]  # fmt: skip
    columns = (
        "px", "samples per CPU second", "samples/s, 1 process", "samples/s, loader of 2 workers",
        "samples/s, CUDA", "peak GB", "MB per sample", "ms to read one",
        f"core hours for {LARGE:,}", f"TB for {LARGE:,}",
    )  # fmt: skip
    names = ("px", "family", "sensor", "samples", "CPU s, mean", "largest", "share of the time")
    return [
        Table("Rates", columns, rates),
        Table("By family and by sensor", names, kinds),
    ]


def _in_subprocess(size: int, count: int) -> dict[str, list[list[float]]]:
    environment = {**os.environ, **process.ENVIRONMENT}
    command = (sys.executable, "-m", "benchmarks.rates", str(size), str(count))
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    print(json.dumps(costs(*(int(word) for word in sys.argv[1:]))))
