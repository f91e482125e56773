"""Coherence lost to strain, ruptures, loose masses and time; and its exact truth in pairs."""

import math

import numpy as np
import pytest
import torch

from groundshift.synth import Constant, Fault
from groundshift.synth.decorrelation import (
    REST,
    TAU,
    Decorrelation,
    gradient_norm,
    temporal_coherence,
)  # fmt: skip
from groundshift.synth.landscape import LandCover
from groundshift.synth.radar import MARGIN, Radar, Surface, acquire
from groundshift.synth.slides import Glacier, Landslide, Linear


def grid(n: int = 64, spacing: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    at = torch.arange(n, dtype=torch.float64) * spacing
    y, x = torch.meshgrid(at, at, indexing="ij")
    return y, x


def test_gradients_of_linear_motion_are_exact() -> None:
    ramp = Linear(((0.01, 0.02), (0.03, -0.04)), (0.0, 0.0))
    found = gradient_norm(*ramp(*grid(spacing=0.5)), spacing=0.5)
    expected = math.sqrt(0.01**2 + 0.02**2 + 0.03**2 + 0.04**2)
    torch.testing.assert_close(found, torch.full_like(found, expected))


def test_coherence_falls_in_proportion_to_strain() -> None:
    stretch = Linear(((0.0, 0.0), (0.0, 0.03)), (0.0, 0.0))
    kept = Decorrelation(critical=0.12)(stretch, *grid())
    torch.testing.assert_close(kept, torch.full_like(kept, 0.75))
    assert float(Decorrelation(critical=0.02)(stretch, *grid()).max()) == 0


def test_a_rupture_breaks_the_ground_around_it() -> None:
    fault = Fault(1.0, (32.0, 31.5), strike=0.0)
    kept = Decorrelation(zone=4.0, broken=0.8)(fault, *grid())
    assert kept[10, [31, 27, 51]].tolist() == pytest.approx(
        [1 - 0.8 * math.exp(-d / 4) for d in (0.5, 4.5, 19.5)]
    )
    strip = Decorrelation(zone=6.0, steepness=8.0, broken=1.0)(fault, *grid())
    assert float(strip[5, 29]) < 0.01
    assert float(strip[5, 22]) > 0.99


def test_loose_masses_lose_their_texture_and_rock_does_not() -> None:
    slide = Landslide(5.0, (32.0, 32.0), 0.3, (20.0, 12.0))
    kept = Decorrelation(loose=0.7)(slide, *grid())
    outside = slide.distance(*grid()) >= 0
    assert float(kept[outside].min()) == 1
    assert float(kept[~outside].max()) == pytest.approx(0.3)


def test_margins_of_glaciers_decorrelate() -> None:
    glacier = Glacier(10.0, (32.0, 32.0), 0.0, 25.0)
    kept = Decorrelation(critical=2.0)(glacier, *grid())
    # 4 * speed / half-width at the margin, none in the middle.
    assert float(kept[32, 32]) == pytest.approx(1, abs=0.01)
    assert float(kept[8, 32]) == pytest.approx(1 - 4 * 10 / 25 / 2, abs=0.1)


def test_time_takes_water_first_and_buildings_last() -> None:
    label = torch.arange(5).repeat_interleave(400).reshape(5, 400)
    cover = LandCover(label, label * 0, 1, torch.zeros_like(label, dtype=torch.bool))
    generator = torch.Generator().manual_seed(0)
    found = torch.stack([temporal_coherence(cover, 12.0, generator) for _ in range(400)]).mean(0)
    law = [(1 - r) * math.exp(-12 / t) + r for r, t in zip(REST, TAU, strict=True)]
    assert found[:, 0].tolist() == pytest.approx(law, abs=0.06)
    late = temporal_coherence(cover, 1e5, generator)[:, 0]
    assert late.tolist() == pytest.approx(list(REST), abs=1e-6)


def test_the_pair_has_the_coherence_that_is_left() -> None:
    """Truth of a pair around a rupture is the loss under the response; intensities agree."""
    size, radar = 96, Radar(bandwidth=0.4)
    n = size + 2 * MARGIN
    at = torch.arange(n, dtype=torch.float64) - MARGIN
    fault = Fault(0.0, (48.0, 47.5), strike=0.0)
    loss = Decorrelation(zone=8.0, steepness=8.0, broken=0.9)
    kept = loss(fault, *torch.meshgrid(at, at, indexing="ij")).float()
    one = torch.ones(())
    surface = Surface(0.9 * kept, one, one, torch.tensor(0j))
    generator = torch.Generator().manual_seed(5)
    pairs = [acquire(radar, surface, Constant(), size, generator) for _ in range(60)]
    a, b = (torch.stack([p[i] for p in pairs]).double() ** 2 for i in (0, 1))
    # All rows are alike.
    a, b = (plane.flatten(0, 1) for plane in (a, b))
    found = ((a - a.mean(0)) * (b - b.mean(0))).mean(0) / (a.std(0) * b.std(0))
    expected = pairs[0].coherence.double().mean(0) ** 2
    assert float(expected[48]) < 0.02
    assert float(expected[20]) == pytest.approx(0.81, abs=0.01)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.06)


def test_draws() -> None:
    rng = np.random.default_rng(1)
    drawn = [Decorrelation.draw(rng, family) for family in ("earthquake", "glacier") * 30]
    assert any(each == Decorrelation() for each in drawn)
    assert all(each.loose == 0 for each in drawn[::2])
    assert any(each.loose > 0 for each in drawn[1::2])
