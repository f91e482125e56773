"""Training of several nets on equal terms: the same time of the processor, the same samples."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import torch

from groundshift.benchmark import results
from groundshift.benchmark.run import AnyCase, Record, run
from groundshift.nets.weights import NAME
from groundshift.synth.bank import Bank
from groundshift.train import TrainConfig, train
from groundshift.train.stored import Stored

BANK = os.environ.get("GROUNDSHIFT_BENCHMARK_BANK")
STORE = os.environ.get("GROUNDSHIFT_BENCHMARK_STORE")
MINUTES = os.environ.get("GROUNDSHIFT_BENCHMARK_MINUTES")
RUNS = Path(os.environ.get("GROUNDSHIFT_BENCHMARK_RUNS", "runs"))
TIMED = 12
"""Steps that tell how many fit into the time."""
TEXT = """GROUNDSHIFT_BENCHMARK_BANK names the bank of texture, GROUNDSHIFT_BENCHMARK_RUNS where
runs are kept (what was trained before is not trained again, what was stopped goes on), and
GROUNDSHIFT_BENCHMARK_MINUTES another time."""


@dataclass(frozen=True)
class Budget:
    """What every net of a comparison is given.

    Parameters
    ----------
    name
        Of the comparison, and of the folder of its runs.
    minutes
        Time of the processor, in one thread, without the samples, which are made beside it.
    store
        Samples to take instead of rendering those of the config.
    """

    name: str
    minutes: float
    store: str | None = None

    def trained(self, name: str, config: TrainConfig, like: Path | None = None) -> Path:
        """Train a net within its time, or take it from an earlier run; return the run's folder.

        With `like`, the folder of another run, it is as many steps as that one had.
        """
        folder = RUNS / self.name / name.replace(" ", "-").replace(",", "")
        if not (folder / NAME).exists():
            torch.set_num_threads(1)
            steps = folder / "steps.json"
            if not steps.exists():
                folder.mkdir(parents=True, exist_ok=True)
                count = None if like is None else json.loads((like / steps.name).read_text())
                count = count or self._affordable(config, folder / "timed")
                steps.write_text(json.dumps(count))
            self._train(replace(config, steps=json.loads(steps.read_text())), folder)
        return folder

    def measured(self, cases: Sequence[AnyCase], matchers: Sequence[str]) -> list[Record]:
        """Measure matchers on the test pairs of cases; a run that was stopped goes on."""
        folder = RUNS / self.name / "records"
        found = results.resume(folder, results.Setting(self.name, version("groundshift"), "test"))
        workers = os.cpu_count() or 1
        for record in run(cases, matchers, "test", workers=workers, done=found):
            found.append(record)
            results.keep(folder, record)
        return found

    def _affordable(self, config: TrainConfig, folder: Path) -> int:
        """Count the steps that fit into the time, from the processor time of a few."""
        self._train(replace(config, steps=2, warmup=1, samples=0), folder)
        began = time.process_time()
        self._train(replace(config, steps=2 + TIMED, warmup=1, samples=0), folder)
        return round(60 * self.minutes * TIMED / (time.process_time() - began))

    def _train(self, config: TrainConfig, folder: Path) -> None:
        bank = None if BANK is None or self.store is not None else Bank.open(BANK)
        stored = None if self.store is None else Stored(self.store)
        train(config, folder, bank, stored, workers=1)


def budget(name: str, minutes: float, store: str | None = None) -> Budget:
    """Return a budget of so many minutes, or of as many as the environment says."""
    return Budget(name, minutes if MINUTES is None else float(MINUTES), store)


def mean(records: list[Record], name: str) -> float | None:
    """Mean of a score over the records that have it."""
    values = [record.score.get(name) for record in records]
    known = [value for value in values if value is not None and value == value]
    return sum(known) / len(known) if known else None
