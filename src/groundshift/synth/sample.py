"""A synthetic pair with its exact truth."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from groundshift.synth.motions import Fault, Motion, Sum, Waves, distance_of, visible
from groundshift.synth.speckle import moved_speckle


class Sample(NamedTuple):
    """Two images and what is known of them; every plane has the shape of the images."""

    reference: Tensor
    """Amplitude."""
    secondary: Tensor
    """Amplitude."""
    dy: Tensor
    """True displacement of each reference pixel along rows, pixels."""
    dx: Tensor
    """True displacement of each reference pixel along columns, pixels."""
    coherence: Tensor
    """True coherence magnitude; NaN for optical images."""
    bandwidth: float
    """Two-sided bandwidth of the complex images, cycles per pixel; NaN for optical images."""
    valid: Tensor
    """Reference pixels that the secondary shows and that can be measured."""
    distance: Tensor
    """Distance to the nearest jump of the motion, pixels; infinite without one."""


def speckle_sample(
    motion: Motion,
    *,
    size: int,
    coherence: float,
    seed: int,
    bandwidth: float = 0.4,
) -> Sample:
    """Render a SAR amplitude pair.

    Parameters
    ----------
    motion
        Displacement of the surface, pixels.
    size
        Rows and columns.
    coherence
        Coherence magnitude, 0 to 1.
    seed
        Of the speckle.
    bandwidth
        Of the complex images, cycles per pixel: 0.4 is an SLC of bandwidth 0.8 oversampled twice,
        whose amplitude is free of aliasing.
    """
    generator = torch.Generator().manual_seed(seed)
    first, second = moved_speckle(motion, size, coherence, bandwidth, generator)
    rows = torch.arange(size, dtype=torch.float64)
    y, x = torch.meshgrid(rows, rows, indexing="ij")
    dy, dx = motion(y, x)
    distance = distance_of(motion, y, x)
    return Sample(
        reference=first.abs(),
        secondary=second.abs(),
        dy=dy.float(),
        dx=dx.float(),
        coherence=torch.full((size, size), float(coherence)),
        bandwidth=bandwidth,
        valid=visible(motion, y, x, distance),
        distance=distance.float(),
    )


def wavy_fault(seed: int, size: int, slip: float = 1.8) -> Motion:
    """Long waves and a rough fault step, within about 2.4 px: the motion of the first table."""
    rng = np.random.default_rng(seed)
    wavelengths = rng.uniform(0.28, 0.42, 2) * size
    waves = Waves(
        amplitude=(float(rng.uniform(0.9, 1.5)), float(rng.uniform(0.9, 1.5))),
        wavelength=(float(wavelengths[0]), float(wavelengths[1])),
        direction=(float(rng.uniform(0, np.pi)), float(rng.uniform(0, np.pi))),
        phase=(float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0, 2 * np.pi))),
    )
    lengths = size / np.array([1.6, 3.7, 8.1, 17.3, 37.9])
    roughness = tuple(
        (float(0.012 * length), float(length), float(rng.uniform(0, 2 * np.pi)))
        for length in lengths
    )
    fault = Fault(
        slip=slip,
        centre=(size / 2, size / 2 + float(rng.uniform(-0.1, 0.1)) * size),
        strike=float(rng.uniform(0.1, 0.9)),
        depth=size / 4,
        roughness=roughness,
    )
    return Sum((waves, fault))


def demo_pair(seed: int = 0, size: int = 512, coherence: float = 0.8) -> Sample:
    """Render the pair of ``groundshift demo``: smooth motion and a fault in SAR speckle."""
    return speckle_sample(wavy_fault(seed, size), size=size, coherence=coherence, seed=seed)
