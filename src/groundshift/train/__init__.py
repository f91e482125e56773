"""The verb ``train``: one visible loop that any run can be continued by, bit for bit.

Needs torch, numpy and scipy alone: training runs on bare GPU machines.
"""

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from groundshift.nets.fusion import Fusion, FusionConfig
from groundshift.nets.guess import first_guess
from groundshift.nets.losses import Truth, Weights, error_scale, loss
from groundshift.nets.weights import STATE
from groundshift.synth.bank import Bank
from groundshift.synth.recipe import Recipe
from groundshift.synth.stream import Item, Stream
from groundshift.train.pool import Pool

log = logging.getLogger(__name__)

LOG = "log.jsonl"


@dataclass(frozen=True)
class TrainConfig:
    """What is trained on what, and how."""

    net: FusionConfig = field(default_factory=FusionConfig)
    recipe: Recipe = field(default_factory=Recipe)
    weights: Weights = field(default_factory=Weights)
    steps: int = 20_000
    batch: int = 6
    fresh: int = 1
    """New samples for each step: each is used `batch / fresh` times."""
    pool: int = 256
    """Samples that batches are drawn from."""
    rate: float = 1.5e-3
    """Largest learning rate."""
    warmup: int = 500
    """Steps until the largest rate."""
    cool: float = 0.3
    """Share of the steps, the last ones, in which the rate falls to nothing."""
    single: float = 0.4
    """Share of the steps, the first ones, that train one iteration alone: half as long."""
    decay: float = 1e-4
    """Of weights (AdamW)."""
    clip: float = 1.0
    """Largest norm of a gradient."""
    average: float = 0.999
    """Of the moving average of the weights, which is what is kept in the end."""
    seed: int = 0
    save: int = 500
    """Steps between checkpoints."""


@dataclass
class State:
    """Everything that a run is continued from."""

    net: Fusion
    average: Fusion
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0

    def pack(self) -> dict[str, Any]:
        """Give what is written to a checkpoint."""
        return {
            "config": asdict(self.net.config),
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }

    def unpack(self, packed: dict[str, Any]) -> None:
        """Take over a checkpoint."""
        self.net.load_state_dict(packed["net"])
        self.average.load_state_dict(packed["average"])
        self.optimizer.load_state_dict(packed["optimizer"])
        self.step, self.seconds = packed["step"], packed["seconds"]


def train(
    config: TrainConfig,
    run: Path,
    bank: Bank | None = None,
    *,
    device: str = "cpu",
    workers: int | None = None,
    seconds: float = math.inf,
    report: Callable[[dict[str, float]], None] | None = None,
) -> State:
    """Train, or go on where a run folder stopped.

    Parameters
    ----------
    config
        What to train.
    run
        Folder of the run: checkpoint and log.
    bank
        Texture of real images.
    device
        Where to train; samples are rendered by `workers` processes on the CPU.
    workers
        Processes that render; by default one for each core, 0 renders in this process.
    seconds
        Stop, with a checkpoint, after this time.
    report
        Called with the parts of the loss at every checkpoint.
    """
    run.mkdir(parents=True, exist_ok=True)
    state = begin(config, device)
    if (run / STATE).exists():
        state.unpack(torch.load(run / STATE, map_location=device, weights_only=True))
        log.info("going on from step %d", state.step)
    stream = Stream(config.recipe, bank, batch=config.fresh)
    pool = Pool(stream, config.pool, config.batch, torch.device(device), workers)
    begun = time.monotonic()
    sums: dict[str, float] = {}
    count = 0
    while state.step < config.steps:
        parts = advance(config, state, pool)
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + value
        count += 1
        late = time.monotonic() - begun > seconds
        if state.step % config.save == 0 or state.step == config.steps or late:
            spent = time.monotonic() - begun
            state.seconds, begun, seconds = state.seconds + spent, time.monotonic(), seconds - spent
            means = {name: value / count for name, value in sums.items()}
            line = {"step": state.step, "seconds": state.seconds, **means}
            _save(state, run, line)
            if report:
                report(line)
            sums, count = {}, 0
        if late:
            break
    return state


def begin(config: TrainConfig, device: str) -> State:
    """Make a net and its optimiser as they are before the first step."""
    torch.manual_seed(config.seed)
    net, average = (Fusion(config.net).to(device) for _ in range(2))
    average.load_state_dict(net.state_dict())
    average.requires_grad_(requires_grad=False)
    optimizer = torch.optim.AdamW(net.parameters(), lr=config.rate, weight_decay=config.decay)
    return State(net, average, optimizer)


def advance(config: TrainConfig, state: State, pool: Pool) -> dict[str, float]:
    """Make one step; return the parts of the loss of the last iteration, and the error in px."""
    generator = torch.Generator().manual_seed(hash((config.seed, state.step)) % 2**63)
    batch = pool.batch(state.step, config.batch, generator)
    guess = _guess(batch, generator)
    for group in state.optimizer.param_groups:
        group["lr"] = rate_at(config, state.step)
    reference, secondary = batch["reference"], batch["secondary"]
    single = state.step < config.single * config.steps
    predictions = state.net(reference, secondary, guess, 1 if single else None)
    truth = truth_of(batch)
    total, parts = loss(predictions, truth, config.weights)
    state.optimizer.zero_grad(set_to_none=True)
    total.backward()
    norm = nn.utils.clip_grad_norm_(state.net.parameters(), config.clip)
    if bool(torch.isfinite(norm)):
        state.optimizer.step()
    state.step += 1
    keep = min(config.average, state.step / (state.step + 10))
    with torch.no_grad():
        for mean, value in zip(state.average.parameters(), state.net.parameters(), strict=True):
            mean.lerp_(value, 1 - keep)
        error = (predictions[-1].flow - truth.motion).abs().mean(1)
        before = (guess - truth.motion).abs().mean(1)
        number = truth.valid.sum().clamp(min=1)
        parts["pixels"] = (error * truth.valid).sum() / number
        parts["guess"] = (before * truth.valid).sum() / number
    return {name: float(value) for name, value in parts.items()}


def rate_at(config: TrainConfig, step: int) -> float:
    """Learning rate: it rises, stays, and falls in the end (Hägele et al. 2024).

    Unlike a cosine it does not depend on the number of steps for most of them, so that a run with
    more steps goes on from a checkpoint of a shorter one as if it had been meant to.
    """
    rise = (step + 1) / max(1, config.warmup)
    fall = (config.steps - step) / max(1.0, config.cool * config.steps)
    return config.rate * min(1.0, rise, 1 - (1 - min(1.0, fall)) ** 0.5)


def truth_of(batch: Item) -> Truth:
    """Take from a batch what it should give."""
    scale = error_scale(batch["coherence"], batch["bandwidth"])
    return Truth(batch["motion"], batch["valid"], batch["distance"], scale)


def _guess(batch: Item, generator: torch.Generator) -> torch.Tensor:
    device = batch["motion"].device
    if device.type == "cpu":
        return first_guess(batch["motion"], generator)
    seed = int(torch.randint(2**62, (), generator=generator))
    return first_guess(batch["motion"], torch.Generator(device).manual_seed(seed))


def _save(state: State, run: Path, line: dict[str, float]) -> None:
    temporary = run / f".{STATE}.part"
    torch.save(state.pack(), temporary)
    temporary.replace(run / STATE)
    with (run / LOG).open("a") as file:
        file.write(json.dumps(line) + "\n")
