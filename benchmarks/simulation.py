"""Simulated imagery against theory: displacement, speckle, coherence, and how well it tracks."""

import torch

from benchmarks import determinism, speckle_statistics, tracking_laws, warp_errors
from benchmarks.report import Table

TITLE = "Exactness of simulated imagery"
TEXT = """What `groundshift.synth` renders, compared with exact evaluation and with the theory of
speckle. Nothing is tuned to the package: references are plane waves, sinc interpolation,
quadrature, long averages and published laws."""


def tables() -> list[Table]:
    """Run everything."""
    torch.set_num_threads(1)
    return [
        warp_errors.spectra(),
        warp_errors.rendered_waves(),
        warp_errors.end_to_end(),
        speckle_statistics.correlations(),
        speckle_statistics.distributions(),
        speckle_statistics.long_averages(),
        *tracking_laws.tables(),
        *determinism.tables(),
    ]
