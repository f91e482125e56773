"""Clouds, shadows, haze and snow: how much is hidden, and what is said to be."""

import math

import numpy as np
import pytest
import torch

from groundshift.synth import Constant
from groundshift.synth.optics import MARGIN, OPAQUE, Optics, acquire
from groundshift.synth.sunlit import Sunlit
from groundshift.synth.weather import Weather, draw_covers, snow

SIDE = 256


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("cover", [0.1, 0.4, 0.8])
def test_clouds_cover_their_share(cover: float) -> None:
    covers = [
        float((Weather(cover, 5.0, 12.0)(SIDE, 1, 1.0, seeded(k)).path > 0).double().mean())
        for k in range(8)
    ]
    assert np.mean(covers) == pytest.approx(cover, abs=0.04)


def test_light_is_either_passed_or_replaced() -> None:
    sky = Weather(0.5, 3.0, 20.0, bright=2.0)(SIDE, 1, 1.5, seeded())
    assert float(sky.transmission.min()) >= 0
    assert float(sky.transmission.max()) == 1
    clear = sky.transmission == 1
    assert 0.2 < float(clear.double().mean()) < 0.8
    assert float(sky.path[clear].abs().max()) == 0
    dense = sky.transmission < 0.02
    assert float(sky.path[dense].mean()) == pytest.approx(3.0, rel=0.15)
    # Edges are half-transparent.
    half = (sky.transmission > 0.2) & (sky.transmission < 0.8)
    assert float(half.double().mean()) > 0.05


def test_a_shadow_lies_where_its_cloud_was_moved_to() -> None:
    plain = Weather(0.2, 5.0, 15.0)(SIDE, 2, 1.0, seeded(3))
    shady = Weather(0.2, 5.0, 15.0, shadow=(7.0, -4.0), dark=0.6)(SIDE, 2, 1.0, seeded(3))
    expected = plain.transmission * (1 - 0.6 * (1 - plain.transmission.roll((14, -8), (0, 1))))
    torch.testing.assert_close(shady.transmission, expected)


def test_what_clouds_hide_is_not_valid() -> None:
    size, optics = 64, Optics(noise=(0.0, 0.0))
    n = 2 * size + 2 * MARGIN
    ground = torch.randn(n, n, generator=seeded(1))
    thick = Weather(0.4, 50.0, 20.0, bright=3.0)
    free = acquire(optics, (ground, ground), Constant(), size, seeded(2))
    pair = acquire(optics, (ground, ground), Constant(), size, seeded(2), (thick, None))
    assert bool(free.clear.all())
    assert 0.3 < float(pair.clear.double().mean()) < 0.9
    torch.testing.assert_close(pair.secondary, free.secondary)
    assert bool((pair.valid == free.valid).all())
    other = acquire(optics, (ground, ground), Constant(), size, seeded(2), (None, thick))
    assert bool(other.clear.all())
    assert float(other.valid.double().mean()) < 0.9
    seen = pair.clear[8:-8, 8:-8]
    miss = (pair.reference - free.reference).abs()[8:-8, 8:-8]
    assert float(miss[~seen].mean()) > 3 * float(miss[seen].mean())
    assert OPAQUE == 0.5


def test_snow_covers_its_share_and_melts_from_its_edge() -> None:
    early, late = snow((0.7, 0.3), 20.0, seeded(), (SIDE, SIDE))
    assert float((early > 0.5).double().mean()) == pytest.approx(0.7, abs=0.1)
    assert float((late > 0.5).double().mean()) == pytest.approx(0.3, abs=0.1)
    assert bool((late <= early).all())
    none, some = snow((0.0, 0.5), 20.0, seeded(), (SIDE, SIDE))
    assert float(none.max()) == 0
    assert float(some.max()) > 0.9


def test_snow_lies_where_it_is_high() -> None:
    height = torch.linspace(0, 50, SIDE)[:, None].expand(SIDE, SIDE)
    cover, _ = snow((0.4, 0.0), 20.0, seeded(), (SIDE, SIDE), height)
    assert float(cover[-64:].mean()) > 0.8
    assert float(cover[:64].mean()) < 0.1


def test_snow_brightens_invented_ground() -> None:
    bare = Sunlit(slope=0.05)((96, 96), seeded(4))
    white = Sunlit(slope=0.05, snow=(0.0, 0.9))((96, 96), seeded(4))
    torch.testing.assert_close(white.reference, bare.reference)
    under = white.snow > 0.9
    assert float(white.secondary[under].mean()) > 2 * float(bare.secondary[under].mean())
    assert float(bare.snow.max()) == 0


def test_draws_are_sensible() -> None:
    rng = np.random.default_rng(0)
    hidden = []
    for k in range(40):
        sky = Weather.draw(rng, 128)(128, 1, 1.0, seeded(k))
        assert bool(torch.isfinite(sky.path).all())
        hidden.append(float((sky.transmission < OPAQUE).double().mean()))
    assert 0.02 < np.mean(hidden) < 0.4
    assert np.median(hidden) < 0.3
    covers = np.array([draw_covers(rng) for _ in range(60)])
    both = (covers > 0).all(axis=1).mean()
    assert 0.15 < both < 0.5
    assert not math.isnan(covers.sum())
