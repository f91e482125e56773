"""Displacements of pairs to displacements of dates: errors, intervals and time."""

import os
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor

from benchmarks import inverters
from benchmarks.inverters import FEW
from benchmarks.report import Table, Value
from groundshift.inversion import History, Inversion, Network, invert

DATES, PAIRS, SIDE = 100, 300, 200
SPAN = 1200.0
"""Days."""
NOISE, FAR, WRONG, GONE = 0.3, 10.0, 0.1, 0.1
"""Metres of noise, and of mismatches at most; shares of pairs that are mismatched, and missing."""
STEP, EVENT = 5.0, 50
"""Metres of a jump, and the date before which it comes."""
AFTER, SOON = 2.0, 20.0
"""Metres of afterslip in each e-fold of time, and days within which it sets in."""
RATE = 20.0
SHARES = (0.9945, 1.96)
PEERS = os.environ.get("GROUNDSHIFT_BENCHMARK_PEERS")

TITLE = "Inversion of stacks"
TEXT = f"""{DATES} dates at random within {SPAN:.0f} days, {PAIRS} pairs: each date with the three
that follow it, and {PAIRS - 3 * DATES + 6} long ones; {SIDE} x {SIDE} px that move steadily (5 m a
year) and with the season (up to 2 m), each as it likes. Noise of {NOISE} m in each pair; a tenth of
the pairs are mismatches of up to {FAR:.0f} m in each component, a tenth more is missing ("gaps"),
or all ground jumps by {STEP:.0f} m at a time that nobody knows ("step"), and goes on by
{AFTER:.0f} m times log(1 + days / {SOON:.0f}) ("afterslip"). Errors are of the position
at each date since the first one, and of the share of dates that is measured. "Known" is least
squares without the mismatched pairs, which nobody has. Seconds are of the processor, in one thread,
for the whole image, of one component or two; the median of three runs. Those of other packages are
of all threads they use, {SIDE} x {SIDE} px too, after a first call, TICOI's scaled up."""
HOW: dict[str, Inversion] = {
    "tukey (default)": Inversion(),
    f"tukey, smoothness {RATE:.0f}": Inversion(smoothness=RATE),
    "l1": Inversion("l1"),
    "huber": Inversion("huber"),
    "least squares": Inversion("none"),
}


def stack() -> tuple[Network, Tensor]:
    """Return the pairs, and the years of the dates."""
    generator = torch.Generator().manual_seed(1)
    days = torch.sort(SPAN * torch.rand(DATES, generator=generator)).values
    pairs = [(i, i + k) for k in (1, 2, 3) for i in range(DATES - k)]
    while len(pairs) < PAIRS:
        i, j = sorted(torch.randint(0, DATES, (2,), generator=generator).tolist())
        if j - i > 3 and (i, j) not in pairs:
            pairs.append((i, j))
    return Network(DATES, tuple(pairs)), days.double() / 365.25


def truth(years: Tensor, components: int, generator: torch.Generator) -> Tensor:
    """Position at each date, ``(dates, components, pixels)``; 0 at the first."""
    shape = (components, SIDE**2)
    speed, season, phase = (
        5 * torch.randn(shape, generator=generator),
        2 * torch.rand(shape, generator=generator),
        6.283 * torch.rand(shape, generator=generator),
    )
    at = years[:, None, None]
    found = speed * at + season * torch.sin(6.283 * at + phase)
    return found - found[:1]


def measured(
    network: Network, position: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return what pairs say, and which of them are mismatched."""
    i, j = torch.tensor(network.pairs).T
    found = position[j] - position[i]
    found += NOISE * torch.randn(found.shape, generator=generator)
    wrong = torch.rand(len(i), found.shape[-1], generator=generator) < WRONG
    far = FAR * (2 * torch.rand(found.shape, generator=generator) - 1)
    return found + far * wrong[:, None], wrong


def scores(found: History, position: Tensor) -> list[Value]:
    """RMSE, share that is measured, and shares of errors within the intervals."""
    error = (found.position - position)[1:]
    known = torch.isfinite(error)
    ratio = (error / found.sigma[1:])[known].abs()
    rmse = float(error[known].square().mean().sqrt())
    held = [float((ratio <= limit).double().mean()) for limit in SHARES]
    return [rmse, float(known.double().mean()), *held]


def tables() -> list[Table]:
    """Measure everything."""
    torch.set_num_threads(1)
    network, years = stack()
    rows: list[list[Value]] = []
    for case in (
        "mismatches",
        "mismatches and gaps",
        "mismatches and a step",
        "mismatches, a step and afterslip",
    ):
        generator = torch.Generator().manual_seed(2)
        position = truth(years, 2, generator).double()
        shaken = " a step" in case
        if shaken:
            position[EVENT:] += STEP
        if case.endswith("afterslip"):
            day = float(years[EVENT - 1 : EVENT + 1].mean())
            since = (years[EVENT:, None, None] - day) * 365.25
            position[EVENT:] += AFTER * torch.log1p(since / SOON)
        observed, wrong = measured(network, position, generator)
        if case.endswith("gaps"):
            gone = torch.rand(wrong.shape, generator=generator) < GONE
            observed = observed.where(~gone[:, None], torch.nan)
        sigma = torch.full_like(observed[:, :1], NOISE)
        for name, how in HOW.items():
            found = invert(network, years, observed, sigma, how=how)
            rows.append([case, name, *scores(found, position)])
        if shaken:
            day = float(years[EVENT - 1 : EVENT + 1].mean())
            told = replace(HOW[f"tukey, smoothness {RATE:.0f}"], breaks=(day,))
            found = invert(network, years, observed, sigma, how=told)
            rows.append(
                [case, f"tukey, smoothness {RATE:.0f}, told the day", *scores(found, position)]
            )
        right = observed.where(~wrong[:, None], torch.nan)
        found = invert(network, years, right, sigma, how=Inversion("none"))
        rows.append([case, "known", *scores(found, position)])
    columns = ("pairs have", "method", "RMSE m", "measured", "68 %", "95 %")
    peers = [_peers()] if PEERS else []
    return [Table("Errors", columns, rows), _times(network, years), *peers]


def _peers() -> Table:
    """Run other packages on the same pairs as ours."""
    generator = torch.Generator().manual_seed(4)
    days = torch.randperm(int(SPAN), generator=generator)[:DATES].sort().values
    days -= days[0].clone()
    network, years = stack()[0], days.double() / 365.25
    position = truth(years, 1, generator).double()
    spoiled, wrong = measured(network, position, generator)
    i, j = torch.tensor(network.pairs).T
    clean = spoiled.where(~wrong[:, None], position[j] - position[i])
    clean += NOISE * wrong[:, None] * torch.randn(clean.shape, generator=generator)
    rows: list[list[Value]] = []
    for case, observed in (("noise alone", clean), ("a tenth mismatched", spoiled)):
        sigma = torch.full_like(observed, NOISE)
        for name in ("least squares", "tukey (default)", f"tukey, smoothness {RATE:.0f}"):
            began = time.process_time()
            found = invert(network, years, observed, sigma, how=HOW[name]).position
            rows.append([case, name, _error(found, position), time.process_time() - began])
        for name, (found, seconds) in _others(network, days, observed).items():
            more = position.shape[2] / found.shape[2]
            rows.append([case, name, _error(found, position), seconds * more])
    columns = ("pairs have", "package", "RMSE m", "CPU s")
    return Table("Beside other packages", columns, rows)


def _error(found: Tensor, position: Tensor) -> float:
    return float((found[1:, :, :FEW] - position[1:, :, :FEW]).square().nanmean().sqrt())


def _others(network: Network, days: Tensor, observed: Tensor) -> dict[str, tuple[Tensor, float]]:
    """Positions by other packages, and seconds of the processor."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(given, pairs=network.pairs, days=days.numpy(), observed=observed.numpy())
        subprocess.run([str(PEERS), inverters.__file__, str(given), str(made)], check=True)
        found = np.load(made)
        return {
            name: (torch.from_numpy(found[name]).double(), float(found[f"{name} seconds"]))
            for name in inverters.METHODS
            if name in found
        }


def _times(network: Network, years: Tensor) -> Table:
    rows: list[list[Value]] = []
    for name in ("least squares", "tukey (default)", f"tukey, smoothness {RATE:.0f}"):
        row: list[Value] = [name]
        for components in (1, 2):
            generator = torch.Generator().manual_seed(3)
            position = truth(years, components, generator).double()
            observed, _ = measured(network, position, generator)
            weights = NOISE * (0.5 + torch.rand(observed.shape, generator=generator).double())
            spent = []
            for _ in range(3):
                began = time.process_time()
                invert(network, years, observed, weights, how=HOW[name])
                spent.append(time.process_time() - began)
            row.append(median(spent))
        rows.append(row)
    return Table("Time", ("method", "CPU s, one component", "CPU s, two"), rows)
