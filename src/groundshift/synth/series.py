"""Radar images of several dates of one moving surface, with exact coherence between any two.

A share of the scatterers stays for ever, the rest is renewed little by little: a Markov chain, so
that coherence after a time is ``rest + (1 - rest) exp(-t / tau)``, whichever two dates are
compared.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.synth import spline
from groundshift.synth.motions import Motion
from groundshift.synth.radar import MARGIN, Radar, detect, origins, scatterers


class Decay(NamedTuple):
    """How coherence is lost with time; planes ``(n, n)`` of the samples, or scalars."""

    rest: Tensor
    """Coherence that stays, 0 to 1."""
    tau: Tensor
    """Time in which the rest of it falls to 1 / e, days."""

    def coherence(self, days: float) -> Tensor:
        """Coherence of the scatterers after a time."""
        return self.rest + (1 - self.rest) * torch.exp(-abs(days) / self.tau)


def acquire_series(
    radar: Radar,
    backscatter: Tensor,
    decay: Decay,
    days: Sequence[float],
    motions: Sequence[Motion],
    size: int,
    generator: torch.Generator,
) -> list[Tensor]:
    """Render each date.

    Parameters
    ----------
    radar
        The sensor.
    backscatter
        Power, ``(n, n)`` with ``n = size * radar.fine + 2 * MARGIN``, or a scalar; the same on all
        dates.
    decay
        Of the scatterers.
    days
        Of each date, in order of time.
    motions
        Of the surface since the time that coordinates are of, for each date, pixels of the result.
        From one date to another it is :class:`groundshift.synth.motions.Between`.
    size
        Rows and columns of the result, pixels.
    generator
        Source of randomness, on the device of the result.

    Returns
    -------
    list of Tensor
        Amplitudes, ``(size, size)``. Where a date shows what was outside, or nothing, it is NaN.
    """
    n, device = size * radar.fine + 2 * MARGIN, generator.device
    down, along = (each.float() for each in radar.response(n, device))
    response = down[:, None] * along
    stays = decay.rest.sqrt() * scatterers(radar, n, generator)
    changes = scatterers(radar, n, generator)
    images, before = [], days[0]
    for day, motion in zip(days, motions, strict=True):
        kept = torch.exp(-(day - before) / decay.tau)
        if day > before:
            fresh = scatterers(radar, n, generator)
            changes = kept * changes + (1 - kept**2).clamp(min=0).sqrt() * fresh
        ground = backscatter.sqrt() * (stays + (1 - decay.rest).sqrt() * changes)
        spectrum = torch.fft.fft2(ground).mul_(response)
        rows, columns, seen = origins(radar, motion, size, device)
        looks = spline.evaluate(torch.fft.ifft2(spline.prefilter(spectrum)), rows, columns)
        looks = torch.where(seen, looks, torch.nan)
        images.append(detect(radar, looks))
        before = day
    return images
