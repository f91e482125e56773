"""A synthetic pair with its exact truth."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from groundshift.synth.motions import Fault, Motion, Sum, Waves, distance_of, visible
from groundshift.synth.optics import OpticalPair
from groundshift.synth.radar import Radar, RadarPair, Surface, acquire

COHERENT = 0.2
"""Coherence of radar images below which nothing can be measured: windows of 64 px would err by
half a pixel."""


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
    """Reference pixels whose ground both dates show, in full light."""
    measurable: Tensor
    """Reference pixels whose ground both dates show, and enough of what they have in common:
    in shade too, where texture exceeds noise, but not where neither speckle nor backscatter is
    alike, and not along stripes."""
    distance: Tensor
    """Distance to the nearest jump of the motion, pixels; infinite without one."""


def sample_of(
    motion: Motion,
    pair: RadarPair | OpticalPair,
    coherence: Tensor,
    bandwidth: float,
    seen: Tensor,
) -> Sample:
    """Join a rendered pair and its truth; `seen` are the secondary's pixels that show ground."""
    size, device = pair.reference.shape[0], pair.reference.device
    at = torch.arange(size, dtype=torch.float64, device=device)
    y, x = torch.meshgrid(at, at, indexing="ij")
    dy, dx = motion(y, x)
    rows, columns = y + dy, x + dx
    inside = (rows >= 0) & (rows <= size - 1) & (columns >= 0) & (columns <= size - 1)
    arrived = seen[
        rows.round().long().clamp(0, size - 1), columns.round().long().clamp(0, size - 1)
    ]
    distance = distance_of(motion, y, x)
    valid = inside & arrived & visible(motion, y, x, distance)
    return Sample(
        reference=pair.reference.float(),
        secondary=pair.secondary.float(),
        dy=dy.float(),
        dx=dx.float(),
        coherence=coherence.float(),
        bandwidth=bandwidth,
        valid=valid,
        measurable=valid & ~(coherence < COHERENT),
        distance=distance.float(),
    )


def speckle_sample(
    motion: Motion,
    *,
    size: int,
    coherence: float,
    seed: int,
    bandwidth: float = 0.4,
) -> Sample:
    """Render a SAR amplitude pair of ground without texture.

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
        whose amplitude is free of aliasing. Above 0.5 every second sample of a finer image is
        taken, as of an SLC that is detected as it is.
    """
    one, none = torch.ones(()), torch.zeros((), dtype=torch.complex64)
    surface = Surface(torch.tensor(float(coherence)), one, one, none)
    radar = Radar(bandwidth, fine=1 if bandwidth <= 0.5 else 2)
    pair = acquire(radar, surface, motion, size, torch.Generator().manual_seed(seed))
    return sample_of(motion, pair, pair.coherence, bandwidth, pair.valid)


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
