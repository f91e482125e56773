"""The verb ``train``: one visible loop that any run can be continued by, bit for bit.

Needs torch, numpy and scipy alone: training runs on bare GPU machines.
"""

import logging
import math
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from groundshift.errors import GroundshiftError, OutputError
from groundshift.nets.fusion import PERIOD
from groundshift.nets.guess import filled, first_guess
from groundshift.synth.bank import Bank
from groundshift.synth.recipe import check
from groundshift.synth.stream import Item, Stream
from groundshift.train.claim import check_run, claim
from groundshift.train.config import TrainConfig
from groundshift.train.objective import outcome, truth_of
from groundshift.train.pool import Pool, prepared
from groundshift.train.presets import PRESETS
from groundshift.train.ranks import any_of, average_gradients, join, rank
from groundshift.train.record import Record, Report
from groundshift.train.state import State
from groundshift.train.validation import samples_of

if TYPE_CHECKING:  # it reads files, which bare GPU machines do without
    from groundshift.train.folder import Folder
    from groundshift.train.stored import Stored

__all__ = ["PRESETS", "State", "TrainConfig", "advance", "rate_at", "train", "truth_of"]

log = logging.getLogger(__name__)


def train(
    config: TrainConfig,
    run: Path,
    bank: Bank | None = None,
    stored: "Stored | Folder | None" = None,
    *,
    device: str = "cpu",
    workers: int | None = None,
    seconds: float = math.inf,
    report: Report = lambda _kind, _line: None,
) -> State:
    """Train, or go on where a run folder stopped.

    Parameters
    ----------
    config
        What to train.
    run
        Folder of the run: its config, checkpoint and log.
    bank
        Texture of real images.
    stored
        Samples of a store, or crops of a folder of images, to train on instead of those of the
        recipe.
    device
        Where to train; samples are rendered by `workers` processes on the CPU.
    workers
        Processes that render; by default one for each core, 0 renders in this process.
    seconds
        Stop, with a checkpoint, after this time.
    report
        Called at every checkpoint and validation.

    Notes
    -----
    After the last step the sigma of the net is calibrated on validation samples, and the
    folder gets the file that other programs can be given; that needs safetensors.

    Raises
    ------
    OutputError
        If the folder holds a run of another config, bank or store, or cannot be made.
    GroundshiftError
        If the store does not go with the config.
    MatcherError
        If the weights to start from are not those of this net.
    """
    if stored is None:
        check(config.recipe, bank)
        if bank is None and config.recipe.real > 0:
            log.warning("no bank of real texture is given: all scenes are invented")
        stream = Stream(config.recipe, bank, also=prepared(config))
        hold = looks = partial(samples_of, config.recipe, bank)
        taught = "synthetic"
        sources = () if bank is None else bank.sources()
        texture = "" if bank is None else bank.digest()
    else:
        _check_stored(stored, config, bank)
        stored.also = prepared(config, truth=stored.truth)
        stream, sources, texture = stored, stored.sources, stored.digest()
        hold, looks, taught = stored.held, stored.looks, stored.taught
    place = join(device)
    leads = rank() == 0
    state = State.begin(config, place)
    _check_sides(config, getattr(state.net, "period", PERIOD))
    if leads:
        check_run(run, config, texture)
    if state.go_on(run):
        log.info("going on from step %d", state.step)
    if state.step > config.steps:
        raise OutputError(
            f"{run} has made {state.step:,} steps and steps={config.steps:,}; pass more, or choose "
            "another folder"
        )
    if leads:
        claim(run, config, texture)
    pool = Pool(stream, config, place, workers)
    record = Record(config, run, state, hold, looks, sources, taught, report) if leads else None
    begun, late = time.monotonic(), False
    while state.step < config.steps and not late:
        parts = advance(config, state, pool)
        late = any_of(time.monotonic() - begun > seconds, place)
        if record:
            record.add(parts, last=late or state.step == config.steps)
    if record:
        record.finish()
    return state


def _check_stored(stored: "Stored | Folder", config: TrainConfig, bank: Bank | None) -> None:
    """Refuse what a store or a folder does not go with."""
    if bank is not None:
        raise GroundshiftError(f"{stored.path} brings its own images: pass it or a bank, not both")
    if not stored.truth and config.objective != "alike":
        raise GroundshiftError(
            f"{stored.path} has no truth: train voxelmorph-compact, or write objective: alike in "
            "the YAML of another net than fusion, or track the images by groundshift labels and "
            "pass the store"
        )
    if stored.size != config.recipe.size:
        raise GroundshiftError(
            f"{stored.path} has samples of {stored.size} px and the config those of "
            f"{config.recipe.size}; write recipe: {{size: {stored.size}}} in the YAML"
        )


def _check_sides(config: TrainConfig, period: int) -> None:
    """Refuse crops that are no whole periods of the net."""
    sides = {"recipe.size": config.recipe.size} | ({"crop": config.crop} if config.first else {})
    for name, side in sides.items():
        if side % period:
            better = max(period, side // period * period)
            raise GroundshiftError(
                f"{name}={side} must be a multiple of {period} px for {config.net.name}, such as "
                f"{better}"
            )


def advance(config: TrainConfig, state: State, pool: Pool) -> dict[str, float]:
    """Make one step; return what is worth logging, see :class:`train.objective.Outcome`."""
    generator = torch.Generator().manual_seed(hash((config.seed, state.step, rank())) % 2**63)
    batch = pool.batch(state.step, generator)
    guess = _guess(config, batch, generator)
    for group in state.optimizer.param_groups:
        group["lr"] = rate_at(config, state.step)
    total, parts, _ = outcome(config, state.net, batch, guess, state.step)
    state.optimizer.zero_grad(set_to_none=True)
    total.backward()
    average_gradients(state.net)
    norm = nn.utils.clip_grad_norm_(state.net.parameters(), config.clip)
    if bool(torch.isfinite(norm)):
        state.optimizer.step()
    state.step += 1
    keep = min(config.average, state.step / (state.step + 10))
    with torch.no_grad():
        for mean, value in zip(state.average.parameters(), state.net.parameters(), strict=True):
            mean.lerp_(value, 1 - keep)
        for mean, value in zip(state.average.buffers(), state.net.buffers(), strict=True):
            mean.copy_(value)  # means over batches, already
    return {name: float(value) for name, value in parts.items()}


def rate_at(config: TrainConfig, step: int) -> float:
    """Learning rate: it rises, stays, and falls in the end (Hägele et al. 2024).

    Unlike a cosine it does not depend on the number of steps for most of them, so that a run with
    more steps goes on from a checkpoint of a shorter one as if it had been meant to.
    """
    rise = (step + 1) / max(1, config.warmup)
    fall = (config.steps - step) / max(1.0, config.cool * config.steps)
    return config.rate * min(1.0, rise, 1 - (1 - min(1.0, fall)) ** 0.5)


def _guess(config: TrainConfig, batch: Item, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """First guess of a batch and where there is one: found by the search, or spoiled truth."""
    motion = batch["motion"]
    if config.guess == "none":
        return torch.zeros_like(motion), torch.ones_like(batch["valid"])
    if float(torch.rand((), generator=generator)) >= config.spoiled:
        return filled(batch["found"])
    if motion.device.type != "cpu":
        seed = int(torch.randint(2**62, (), generator=generator))
        generator = torch.Generator(motion.device).manual_seed(seed)
    return first_guess(motion, generator, config.spoil), torch.ones_like(batch["valid"])
