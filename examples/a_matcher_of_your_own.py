"""Choose how to match, and compare with the exact truth.

Matchers are values: they combine, print, and go into the result's history. Here are a classical
64-px correlation grid, the same refined from coarse to fine, and the default, on one radar pair.
"""

import numpy as np

import groundshift
from groundshift.matchers import NCC, CoarseToFine, Gaussian, default
from groundshift.synth import Sample, demo_pair
from groundshift.types import Matcher

MATCHERS: dict[str, Matcher] = {
    "NCC, 64 px": NCC(window=64, search=8, stride=16),
    "coarse to fine": CoarseToFine(
        (
            NCC(window=64, search=8, stride=32, peak=Gaussian()),
            NCC(window=32, search=4, stride=8, peak=Gaussian()),
        )
    ),
    "default": default(search=8),
}


def errors(matcher: Matcher, pair: Sample) -> np.ndarray:
    """Errors in pixels, NaN where nothing was measured."""
    motion = groundshift.track(
        pair.reference.numpy(), pair.secondary.numpy(), matcher, radiometry="amplitude"
    ).load()
    step = matcher.stride
    # A cell stands for stride x stride pixels: compare with the mean of the truth over them.
    true = [plane.unfold(0, step, step).unfold(1, step, step) for plane in (pair.dx, pair.dy)]
    means = np.stack([plane.mean((-1, -2)).numpy() for plane in true])
    return np.stack([motion["dx"].values, motion["dy"].values]) - means


def main() -> None:
    """Print a table."""
    pair = demo_pair(seed=5, size=256, coherence=0.8)
    print(f"{'':16}mean error, px   95th percentile   measured")
    for name, matcher in MATCHERS.items():
        error = np.abs(errors(matcher, pair))
        known = error[np.isfinite(error)]
        share = known.size / error.size
        print(f"{name:16}{known.mean():14.3f}{np.percentile(known, 95):18.3f}{share:11.0%}")


if __name__ == "__main__":
    main()
