"""CC-ResSiamNet against multi-kernel offset tracking, which it learned from, and against truth."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

import groundshift
from benchmarks import budget, nets
from benchmarks.budget import RUNS, STORE
from benchmarks.real import FOLDER, ICE, OUTLETS
from benchmarks.report import Table, Value
from groundshift.benchmark.cases import Case
from groundshift.benchmark.cost import costs
from groundshift.benchmark.run import centres
from groundshift.benchmark.suites import REACH, faults, glaciers
from groundshift.benchmark.views import Speckle
from groundshift.io.samples import Samples
from groundshift.matchers import multikernel
from groundshift.matchers.whole import match_whole
from groundshift.nets.refine import learned
from groundshift.nets.weights import STANDARD
from groundshift.synth.stream import SENSORS
from groundshift.train import PRESETS
from groundshift.types import Estimate, Matcher

LABELS = RUNS / "labels.zarr"
BUDGET = budget.budget("labels", nets.BUDGET.minutes, str(LABELS))
NET = "ccressiam"
SEARCH = 32
"""Pixels, of the tracking that makes labels."""
STRIDE = 8
IMAGES = ("reference", "secondary")
TRUTH, TAUGHT = "CC-ResSiamNet, taught by truth", "CC-ResSiamNet, taught by multi-kernel tracking"
KERNELS = "multi-kernel tracking"

TITLE = "CC-ResSiamNet and multi-kernel offset tracking"
TEXT = f"""The compact net (at most 0.8 million parameters) was trained twice for {BUDGET.minutes:g}
minutes of the processor's time in one thread: on the exact truth of synthetic pairs, and, as
published, on what offset tracking by windows of 32, 64 and 128 px finds in the same images
(`groundshift labels`), with no truth at all. All nets start from a search, so that large motion is
within their reach. RMSE is over both components, of means over cells of {STRIDE} px, 64 px from the
border, in pixels; "to the tracking" counts cells that multi-kernel tracking measures. The authors
report 0.11 to 0.34 px to theirs (Kim, Jung and Lu 2025; glaciers .18 to .34, a volcano .11 to .20),
on their own images, of a net of 200,000 pairs. Real pairs are of Perito Moreno (Sentinel-2) and
Greenland (Landsat); they have no truth. {budget.TEXT}"""


def labelled() -> None:
    """Track the radar images of the store that nets are trained on; what is there stays."""
    if LABELS.exists():
        return
    if STORE is None:
        raise SystemExit("set GROUNDSHIFT_BENCHMARK_STORE to a store of groundshift simulate")
    store = Samples(Path(STORE))
    radar = np.flatnonzero(store.table("sensor") == SENSORS.index("radar"))
    pairs = [tuple(store[k][name].numpy() for name in IMAGES) for k in radar.tolist()]
    partial = LABELS.with_name("labels-part.zarr")
    groundshift.labels(pairs, partial, multikernel(SEARCH, STRIDE), radiometry="amplitude")
    partial.rename(LABELS)


def scenarios() -> dict[str, list[Case]]:
    """Name the cases of each scenario: what a radar sees of it."""
    motions = {"glacier": glaciers(), "earthquake": faults()}
    found = {
        name: [case for case in cases if isinstance(case.view, Speckle)]
        for name, cases in motions.items()
    }
    found["volcano"] = [
        replace(case, suite="volcanoes", table="volcano", family="volcano", spacing=(2.0, 10.0))
        for case in found["earthquake"]
    ]
    return found


def matchers(folders: dict[str, Path], reach: int) -> dict[str, Matcher]:
    """Name what is compared."""
    return {
        KERNELS: multikernel(reach, STRIDE),
        **{name: learned(str(folder), reach) for name, folder in folders.items()},
        f"the flagship ({STANDARD})": learned(STANDARD, reach),
    }


def tables() -> list[Table]:
    """Make labels, train, and measure everything."""
    labelled()
    config = PRESETS[f"{NET}-compact"]
    folders = {
        TRUTH: nets.BUDGET.trained(NET, config),
        TAUGHT: BUDGET.trained(NET, config),
    }
    rows: list[list[Value]] = []
    for scenario, cases in scenarios().items():
        reach = REACH.get(cases[0].suite, REACH["faults"])
        found: dict[str, list[Tensor]] = {}
        for case in cases:
            for number in range(case.pairs):
                pair = case.pair("test", number)
                y, x = centres((case.size // STRIDE,) * 2, STRIDE)
                inner = (torch.minimum(y, x) >= pair.margin) & pair.valid[y.long(), x.long()]
                inner &= torch.maximum(y, x) < case.size - pair.margin
                truth = torch.stack(pair.motion(y, x)).float().where(inner, torch.nan)
                tracked = {
                    name: _cells(match_whole(matcher, pair.reference, pair.secondary), case.size)
                    for name, matcher in matchers(folders, reach).items()
                }
                for name, own in tracked.items():
                    planes = torch.stack([own, tracked[KERNELS].where(inner, torch.nan), truth])
                    found.setdefault(name, []).append(planes.flatten(2))
        rows += [[scenario, name, *_errors(torch.cat(parts, -1))] for name, parts in found.items()]
    return [
        Table("Simulated", ("scenario", "matcher", *COLUMNS), rows),
        Table("Real glaciers", ("pair", "matcher", *COLUMNS[2:4], "measured"), [*_real(folders)]),
        _costs(folders),
    ]


COLUMNS = ("RMSE px", "MAE px", "RMSE to the tracking", "MAE to the tracking", "density")


def _cells(found: Estimate, size: int) -> Tensor:
    """Displacement of the cells of an image, ``(2, rows, columns)``."""
    flow = torch.stack([found.dy, found.dx])
    return avg_pool2d(flow, STRIDE * flow.shape[-1] // size)


def _errors(planes: Tensor) -> list[Value]:
    """Errors of ``(estimate, tracking, truth)``, each ``(2, cells)``."""
    own, tracked, truth = planes
    values: list[Value] = []
    for other in (truth, tracked):
        error = (own - other)[~torch.isnan(own - other)]
        values += [float(error.square().mean().sqrt()), float(error.abs().mean())]
    there = ~torch.isnan(truth[0])
    return [*values, float((~torch.isnan(own[0]) & there).sum() / there.sum())]


def _real(folders: dict[str, Path]) -> Iterator[list[Value]]:
    for (title, files), band in [
        *((item, "green") for item in ICE.items()),
        *((item, None) for item in OUTLETS.items()),
    ]:
        images = [groundshift.open_image(FOLDER / file, band=band) for file in files]
        found = {}
        for name, matcher in matchers(folders, SEARCH).items():
            field = groundshift.track(*images, matcher=matcher).compute()
            flow = torch.stack([torch.from_numpy(field[k].values) for k in ("dy", "dx")]).float()
            found[name] = flow if name == KERNELS else avg_pool2d(flow, STRIDE)
        # Tracking has cells that the image fills in part.
        rows, columns = (images[0].sizes[axis] // STRIDE for axis in ("y", "x"))
        found = {name: flow[:, :rows, :columns] for name, flow in found.items()}
        for name, flow in found.items():
            error = flow - found[KERNELS]
            error = error[~torch.isnan(error)]
            share = float((~torch.isnan(flow[0])).float().mean())
            yield [
                title,
                name,
                float(error.square().mean().sqrt()),
                float(error.abs().mean()),
                share,
            ]


def _costs(folders: dict[str, Path]) -> Table:
    expressions = {
        KERNELS: f"multikernel({SEARCH}, {STRIDE})",
        "the same, each 4 px": f"multikernel({SEARCH}, 4)",
        "CC-ResSiamNet, each pixel": f"learned({str(folders[TRUTH])!r}, search={SEARCH})",
        f"the flagship ({STANDARD}), each pixel": f"learned({STANDARD!r}, search={SEARCH})",
    }
    spent = [cost.cpu for cost in costs(list(expressions.values()), "faults")]
    rows: list[list[Value]] = [
        [name, cpu, spent[0] / cpu] for name, cpu in zip(expressions, spent, strict=True)
    ]
    return Table("Time", ("matcher", "CPU s per Mpx", "times faster than the first"), rows)
