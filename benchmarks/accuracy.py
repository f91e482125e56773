"""Clean, noisy and broken motion on textures: the accuracy bars."""

import numpy as np

from benchmarks.errors import compare, mae
from benchmarks.methods import Method, Plane, matched, peers
from benchmarks.pairs import Pair, constant, fault_step, moved_speckle, moved_texture, smooth_field
from benchmarks.parallel import each
from benchmarks.report import Table, Value
from groundshift.matchers import NCC, PhaseCorrelation, default
from groundshift.nets.refine import learned
from groundshift.nets.weights import STANDARD
from groundshift.synth import Constant, Motion

TITLE = "Accuracy on textures"
TEXT = """MAE of both components, px, of two pairs of 1024 x 1024 px, at each method's own nodes,
80 px from the image border. Texture: periodic 1/f, point spread 0.7 px. Shift: (1.37, -2.61) px by
Fourier. Field: waves of 3 and 2.5 px amplitude, 680 and 512 px long. Noise: white in both images, a
share of the contrast. SAR-like: the same speckle (0.4 cycles/px) in both images plus 50 % noise.
Fault: a straight step, +-1.5 px. In brackets: share of nodes with a result, where below 0.995. The
bars are the least errors of any peer in an earlier comparison on pairs made alike, closed and
conda-only tools included."""
BARS = (0.002, 0.013, 0.032, 0.032, 0.016)
CASES = (
    "shift",
    "field",
    "field, 30 % noise",
    "SAR-like, 50 % noise",
    "fault",
)
SEEDS = (201, 202)


def case(index: int, seed: int) -> tuple[Pair, Motion]:
    """Give one pair and its motion."""
    field = smooth_field()
    match index:
        case 0:
            return constant(1024, seed), Constant(-2.61, 1.37)
        case 1:
            return moved_texture(1024, seed, field), field
        case 2:
            return moved_texture(1024, seed, field, noise=0.3), field
        case 3:
            return moved_speckle(1024, seed, field), field
    fault = fault_step(1024)
    return moved_texture(1024, seed, fault), fault


def methods() -> dict[str, Method]:
    """Name what is compared."""
    return {
        "groundshift learned": matched(learned(STANDARD, 64, stride=4)),
        "groundshift default": matched(default()),
        "groundshift PhaseCorrelation 64": matched(PhaseCorrelation(window=64, stride=16)),
        "groundshift NCC 32": matched(NCC(window=32, search=6, stride=8)),
        **peers(),
    }


def errors_of(index: int, seed: int) -> dict[str, Plane]:
    """Errors of every method on one pair."""
    pair, motion = case(index, seed)
    shape = (pair.reference.shape[0], pair.reference.shape[1])
    return {
        name: compare(method(pair.reference, pair.secondary), motion, shape).error.ravel()
        for name, method in methods().items()
    }


def tables() -> list[Table]:
    """Run everything."""
    jobs = [(index, seed) for index in range(len(CASES)) for seed in SEEDS]
    found = dict(zip(jobs, each(errors_of, jobs), strict=True))
    rows: list[list[Value]] = [["bar to beat", *(f"<= {bar}" for bar in BARS)]]
    for name in found[jobs[0]]:
        errors = [
            np.concatenate([found[index, seed][name] for seed in SEEDS])
            for index in range(len(CASES))
        ]
        rows.append([name, *(_cell(mae(e), 1 - float(np.isnan(e).mean())) for e in errors)])
    return [Table("MAE", ("method", *CASES), rows)]


def _cell(error: float, share: float) -> str:
    return f"{error:.4f}" + (f" ({share:.2f})" if share < 0.995 else "")
