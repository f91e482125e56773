"""How a moving surface is seen: the sensors that suites are made of.

A view makes a sample of a motion, from two sources of randomness: one for parameters, one for
fields. Scenes are invented, so that whoever has the package has the benchmark.
"""

from dataclasses import dataclass

import numpy as np
import torch

from groundshift.synth import optical_scene, optics, radar
from groundshift.synth.motions import Motion
from groundshift.synth.optics import Optics
from groundshift.synth.radar import Radar, Surface
from groundshift.synth.sample import Sample, sample_of

MODES = {
    "SLC x2": Radar(bandwidth=0.4),
    "SLC x1": Radar(bandwidth=0.8, fine=2),
    "2 x 2 averages": Radar(bandwidth=0.8, fine=2, average=True),
    "GRD": Radar(bandwidth=0.5, window=0.73, looks=5),
}
"""Radar products: an SLC of bandwidth 0.8 oversampled twice, as it is (aliased), averaged, and
a ground-range product of five looks like Sentinel-1's."""


@dataclass(frozen=True)
class Speckle:
    """Uniform ground in a radar image: nothing to see but speckle."""

    mode: str
    """One of `MODES`."""
    coherence: float

    def __call__(
        self, motion: Motion, size: int, rng: np.random.Generator, generator: torch.Generator
    ) -> Sample:
        """Render one pair."""
        product = MODES[self.mode]
        one = torch.ones((), device=generator.device)
        surface = Surface(one * self.coherence, one, one, one * 0j)
        pair = radar.acquire(product, surface, motion, size, generator)
        return sample_of(motion, pair, pair.coherence, product.bandwidth, pair.valid)


@dataclass(frozen=True)
class Sunlight:
    """Invented relief and land cover in an optical image."""

    second_date: bool
    """Another sun, change of brightness and of the ground between the dates; otherwise the
    secondary is the reference's ground, moved."""
    noise: float = 0.02
    """White noise in both images, a share of the contrast."""

    def __call__(
        self, motion: Motion, size: int, rng: np.random.Generator, generator: torch.Generator
    ) -> Sample:
        """Render one pair."""
        gain = 0.15 if self.second_date else 0.0
        camera = Optics(noise=(self.noise, self.noise), gain=gain)
        n = size * camera.fine + 2 * optics.MARGIN
        scene = optical_scene.invented(n, camera.fine, rng, generator)
        if not self.second_date:
            nothing = torch.zeros_like(scene.hidden)
            scene = scene._replace(second=scene.first, hidden=nothing)
        return optical_scene.photographed(scene, camera, motion, size, generator)


View = Speckle | Sunlight
