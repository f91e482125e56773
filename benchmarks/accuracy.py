"""Clean, noisy and broken motion on textures: the accuracy bars."""

import numpy as np

from benchmarks.errors import compare, mae
from benchmarks.methods import Method, matched, peers
from benchmarks.pairs import Pair, constant, fault_step, moved_speckle, moved_texture, smooth_field
from benchmarks.report import Table
from groundshift.filters import Wallis
from groundshift.matchers import NCC, Filtered, PhaseCorrelation, default
from groundshift.synth import Constant, Motion

TITLE = "Accuracy on textures"
TEXT = """MAE of both components, px, at each method's own nodes, 80 px from the image border.
Texture: periodic 1/f, point spread 0.7 px. Shift: (1.37, -2.61) px by Fourier. Field: waves of
3 and 2.5 px amplitude, 680 and 512 px long. Noise: white in both images, a share of the contrast.
SAR-like: the same speckle (0.4 cycles/px) in both images plus 50 % noise. Fault: a straight step,
+-1.5 px. In brackets: share of nodes with a result, where below 0.995."""
BARS = (0.002, 0.013, 0.032, 0.032, 0.016)
CASES = (
    "shift (2048)",
    "field (2048)",
    "field, 30 % noise (1024)",
    "SAR-like, 50 % noise (1024)",
    "fault (1024)",
)
SEEDS = (201, 202)


def case(index: int, seed: int) -> tuple[Pair, Motion]:
    """Give one pair and its motion."""
    field = smooth_field()
    match index:
        case 0:
            return constant(2048, seed), Constant(-2.61, 1.37)
        case 1:
            return moved_texture(2048, seed, field), field
        case 2:
            return moved_texture(1024, seed, field, noise=0.3), field
        case 3:
            return moved_speckle(1024, seed, field), field
    fault = fault_step(1024)
    return moved_texture(1024, seed, fault), fault


def methods() -> dict[str, Method]:
    """Name what is compared."""
    return {
        "groundshift default": matched(default()),
        "groundshift default, Wallis": matched(Filtered(Wallis(21), default())),
        "groundshift PhaseCorrelation 64": matched(PhaseCorrelation(window=64, stride=16)),
        "groundshift NCC 32": matched(NCC(window=32, search=10, stride=8)),
        **peers(),
    }


def tables() -> list[Table]:
    """Run everything."""
    found = {name: [] for name in methods()}
    for index in range(len(CASES)):
        seeds = SEEDS[:1] if index < 2 else SEEDS
        pairs = [case(index, seed) for seed in seeds]
        for name, method in methods().items():
            errors = []
            for pair, motion in pairs:
                measured = method(pair.reference, pair.secondary)
                errors.append(compare(measured, motion, tuple(pair.reference.shape)).error.ravel())
            error = np.concatenate(errors)
            found[name].append((mae(error), 1 - float(np.isnan(error).mean())))
    rows = [["bar to beat", *(f"<= {bar}" for bar in BARS)]]
    for name, values in found.items():
        rows.append([name, *(_cell(*value) for value in values)])
    return [Table("MAE", ("method", *CASES), rows)]


def _cell(error: float, share: float) -> str:
    return f"{error:.4f}" + (f" ({share:.2f})" if share < 0.995 else "")
