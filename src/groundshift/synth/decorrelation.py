"""How coherence is lost: by motion that tears the ground, and by time on what covers it.

What a radar sees of a resolution cell that is strained is like what it sees under another angle:
the spectrum of the ground shifts, and the share of it that both dates have in common falls in
proportion (Gatelli et al. 1994). Around a rupture the ground is broken, the less the farther away;
loose masses that move lose their texture as a whole. Land cover decorrelates with time towards a
rest, ``(1 - rest) exp(-t / tau) + rest`` (Kellndorfer et al. 2022).
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from groundshift.synth.landscape import LandCover
from groundshift.synth.motions import Motion, distance_of

TAU = (0.05, 80.0, 25.0, 6.0, 300.0)
"""Days in which `landscape.CLASSES` decorrelate in C band (typical values)."""
REST = (0.0, 0.5, 0.1, 0.05, 0.6)
"""Coherence that stays."""
SCATTER = 0.5
"""Of the time of a patch around that of its class, natural logarithm."""
LOOSE = ("landslide", "glacier", "outlet", "measured")
"""Families whose moving masses deform inside."""


@dataclass(frozen=True)
class Decorrelation:
    """What motion does to coherence."""

    critical: float = math.inf
    """Gradient of displacement at which nothing is left."""
    zone: float = 1.0
    """Distance from a rupture at which its damage is down to 1 / e, pixels."""
    steepness: float = 1.0
    """Damage falls as ``exp(-(distance / zone)**steepness)``: 1 has a tail, 8 is a strip."""
    broken: float = 0.0
    """Share of coherence lost at a rupture."""
    loose: float = 0.0
    """Share of coherence lost where ground moves by a fifth of the fastest or more."""

    def __call__(self, motion: Motion, y: Tensor, x: Tensor) -> Tensor:
        """Share of coherence that is kept at coordinates of a regular grid, 0 to 1.

        Parameters
        ----------
        motion
            Of the ground, pixels.
        y, x
            Rows and columns, ``(n, n)``, pixels, as from ``meshgrid``.
        """
        dy, dx = motion(y, x)
        spacing = float(y[1, 0] - y[0, 0])
        kept = torch.ones_like(dy)
        if math.isfinite(self.critical):
            kept = kept * (1 - gradient_norm(dy, dx, spacing) / self.critical).clamp(min=0)
        if self.loose:
            speed = torch.hypot(dy, dx)
            kept = kept * (1 - self.loose * (speed / (0.2 * speed.max() + 1e-9)).clamp(max=1))
        if self.broken:
            distance = distance_of(motion, y, x) / self.zone
            kept = kept * (1 - self.broken * torch.exp(-(distance**self.steepness)))
        return kept

    @classmethod
    def draw(cls, rng: np.random.Generator, family: str) -> Self:
        """Draw what is lost in a family of motions; every third time nothing."""
        values = rng.uniform(size=5)
        if rng.random() < 1 / 3:
            return cls()
        return cls(
            critical=0.02 * 50 ** float(values[0]),
            zone=0.7 * 30 ** float(values[1]),
            steepness=float(rng.choice((1.0, 2.0, 8.0))),
            broken=0.3 + 0.7 * float(values[2]),
            loose=0.9 * float(values[3]) * (family in LOOSE) * (values[4] < 0.7),
        )


def gradient_norm(dy: Tensor, dx: Tensor, spacing: float) -> Tensor:
    """Frobenius norm of the gradient of displacement on a grid, by central differences."""
    parts = (torch.gradient(plane, spacing=spacing) for plane in (dy, dx))
    return torch.stack([one for pair in parts for one in pair]).square().sum(0).sqrt()


def temporal_coherence(cover: LandCover, days: float, generator: torch.Generator) -> Tensor:
    """Coherence of land after a time, with patches that keep it longer or shorter than others.

    Roads keep what the bare ground has.
    """
    device = generator.device
    slower = torch.exp(SCATTER * torch.randn(cover.patches, generator=generator, device=device))
    label = torch.where(cover.road, 1, cover.label)
    tau = torch.tensor(TAU, device=device)[label] * slower[cover.patch]
    rest = torch.tensor(REST, device=device)[label]
    return (1 - rest) * torch.exp(-days / tau) + rest
