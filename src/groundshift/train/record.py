"""What is kept and said of a run: checkpoints, validations, and a log that TensorBoard reads."""

import json
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from groundshift.nets.domain import span_of
from groundshift.nets.weights import NAME, STATE, keep, load
from groundshift.synth.stream import Item
from groundshift.train import calibration, coherent, validation
from groundshift.train.card import card
from groundshift.train.config import TrainConfig
from groundshift.train.state import State

log = logging.getLogger(__name__)

LOG, CARD = "log.jsonl", "card.md"
"""In a run folder: one line of JSON for each report, and what the weights are."""

CALIBRATED = 4
"""Times as many samples as validation has, of the same: what is rare needs many."""

Report = Callable[[str, dict[str, float]], None]
"""Called with "train", "validation" or "calibration" and values, the step among them."""


class Record:
    """The record of one run, written by one process.

    Parameters
    ----------
    config, run, state
        Of the run.
    hold
        Gives the first so many samples to validate on.
    looks
        Gives as many that look like what was trained on.
    sources
        What the samples are made of, and its licences.
    taught
        What they are, by its name in :data:`groundshift.train.card.TAUGHT`.
    report
        Called with everything that is logged.
    """

    def __init__(
        self,
        config: TrainConfig,
        run: Path,
        state: State,
        hold: Callable[[int], Sequence[Item]],
        looks: Callable[[int], Sequence[Item]],
        sources: Sequence[str],
        taught: str,
        report: Report,
    ) -> None:
        self._config, self._run, self._state = config, run, state
        self._hold, self._looks = hold, looks
        self._sources, self._taught = sources, taught
        self._held = hold(config.samples)
        regressed = config.objective == "coherence"
        self._validate = coherent.validate if regressed else validation.validate
        self._calibrate = coherent.calibrate if regressed else calibration.calibrate
        self._report, self._board = report, _board(run)
        self._last = time.monotonic()
        self._since: dict[str, list[float]] = {}

    def add(self, parts: dict[str, float], *, last: bool) -> None:
        """Take the values of one step; write what is due, and everything at the last one."""
        for name, value in parts.items():
            self._since.setdefault(name, []).append(value)
        state, config = self._state, self._config
        due = state.step % config.validate == 0 and bool(self._held)
        if last or due or state.step % config.save == 0:
            state.seconds += time.monotonic() - self._last
            self._last = time.monotonic()
            state.save(self._run)
            self._tell("train", {name: fmean(each) for name, each in self._since.items()})
            self._since = {}
        if (last or due) and self._held:
            self._tell("validation", self._validate(self._run, self._held))

    def finish(self) -> None:
        """Write the calibrated weights of a run that is complete, once."""
        if self._board is not None:
            self._board.close()
        if find_spec("safetensors") is None:
            log.warning("safetensors is missing: the same command, where it is, writes the weights")
            return
        path, config = self._run / NAME, self._config
        made = path.exists() and path.stat().st_mtime >= (self._run / STATE).stat().st_mtime
        if self._state.step == config.steps and not made:
            path.unlink(missing_ok=True)
            number = CALIBRATED * config.samples
            self._report("calibration", {"step": self._state.step, "samples": number})
            held = self._hold(number)
            alike = held if self._looks == self._hold else self._looks(number)
            details = {
                "steps": self._state.step,
                "guess": config.guess,
                "hours": self._state.seconds / 3600,
                "hardware": _hardware(self._state),
                **_lineage(config.start, self._sources),
                "config": asdict(config),
                "taught": self._taught,
                "samples": len(held),
                **self._calibrate(self._run, held),
                "span": span_of(
                    sample[name] for sample in alike for name in ("reference", "secondary")
                ),
            }
            keep(self._state.average, path, details)
            count = sum(each.numel() for each in self._state.average.parameters())
            (self._run / CARD).write_text(card(self._run.name, count, details))

    def _tell(self, kind: str, values: dict[str, float]) -> None:
        line = {"step": self._state.step, "seconds": self._state.seconds, **values}
        with (self._run / LOG).open("a") as file:
            known = {name: value if math.isfinite(value) else None for name, value in line.items()}
            file.write(json.dumps({"kind": kind, **known}) + "\n")
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, self._state.step)
            self._board.flush()
        self._report(kind, line)


def _lineage(start: str, sources: Sequence[str]) -> dict[str, Any]:
    """Tell what weights owe to those that a run started from: steps, hours and sources."""
    before = load(start).details if start else {}
    own = {key: before[key] for key in ("steps", "hours", "taught") if key in before}
    return {
        "sources": list(dict.fromkeys([*before.get("sources", ()), *sources])),
        "before": [*before.get("before", ()), *([own] if own else [])],
    }


def _hardware(state: State) -> str:
    """Name what the last steps were made on."""
    device = next(state.net.parameters()).device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{os.cpu_count()} processors, {torch.get_num_threads()} threads"


def _board(run: Path) -> Any:
    """Return TensorBoard's writer, where it is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(run))
