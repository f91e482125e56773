"""Speckle that is measured, and coherence that is right in the mean with a sigma that is true."""

import math

import numpy as np
import pytest
import torch

from groundshift import tile
from groundshift.coherent import Calibrated, LogRatio, Pearson, Speckle, Windowed, looks_between
from groundshift.coherent.calibrated import uniform
from groundshift.coherent.estimators import _bessel
from groundshift.errors import GroundshiftError
from groundshift.synth import sentinel1
from groundshift.synth.motions import Constant
from groundshift.synth.radar import Radar, Surface, acquire
from groundshift.synth.speckle import tracking_limit

PRODUCTS = {
    "slc": (sentinel1.slc(2), 1.0, 0.335),
    "grd": (sentinel1.grd(2), 4.87, 0.155),
    "oversampled": (Radar(0.4), 1.0, 0.16),
}


def acquired(radar, coherence, size=384, seed=1, backscatter=None):
    one = torch.tensor(1.0)
    level = one if backscatter is None else backscatter
    surface = Surface(torch.as_tensor(coherence), level, level, one * 0j)
    generator = torch.Generator().manual_seed(seed)
    pair = acquire(radar, surface, Constant(), size, generator)
    return pair.reference, pair.secondary, pair.coherence


@pytest.mark.parametrize("name", PRODUCTS)
def test_speckle_is_measured(name):
    radar, looks, samples = PRODUCTS[name]
    n = 384 * radar.fine + 64
    gamma = torch.full((n, n), 0.7)
    gamma[: n // 3] = 0.0
    one, other, _ = acquired(radar, gamma)
    found = Speckle.of(one, other)
    assert found.looks == pytest.approx(looks, rel=0.12)
    assert found.samples == pytest.approx(samples, rel=0.15)


@pytest.mark.parametrize("gamma", [0.0, 0.7, 0.95])
def test_looks_do_not_depend_on_coherence(gamma):
    radar = sentinel1.grd(2)
    n = 384 * radar.fine + 64
    at = torch.arange(n) / 60
    smooth = torch.exp(0.5 * torch.sin(at)[:, None] * torch.sin(1.3 * at))
    one, other, _ = acquired(radar, torch.full((n, n), gamma), backscatter=smooth)
    assert Speckle.of(one, other).looks == pytest.approx(4.87, rel=0.15)


def test_what_tracking_can_reach_is_the_published_law():
    speckle = Speckle(4.0, (0.5, 0.8))
    found = speckle.tracking_sigma(np.array([[0.0, 0.3], [0.6, 1.0]]), 24)
    width = math.sqrt(0.4)
    for gamma, sigma in ((0.3, found[0, 1]), (0.6, found[1, 0])):
        assert sigma == pytest.approx(tracking_limit(gamma, 4 * (24 * width) ** 2) / width)
    assert np.isinf(found[0, 0])
    assert found[1, 1] == 0


def test_texture_leaves_room_but_not_for_what_is_wrong():
    radar = sentinel1.grd(2)
    n = 384 * radar.fine + 64
    at = torch.arange(n) / 9
    texture = torch.exp(0.7 * torch.sin(at)[:, None] * torch.sin(1.3 * at))
    gamma = torch.full((n, n), 0.5)
    gamma[: n // 3] = 0.0
    low, high = looks_between(*acquired(radar, gamma, backscatter=texture)[:2])
    assert low < 4.87 * 1.05
    assert 4.87 * 0.95 < high < 8


def test_many_looks_have_a_likelihood():
    table, _ = _bessel(150.0)
    assert bool(torch.isfinite(table).all())
    assert float(table.diff().diff().abs().max()) < 0.01


def test_no_speckle():
    flat = torch.ones(200, 200)
    with pytest.raises(GroundshiftError, match="pass looks="):
        Speckle.of(flat, flat)
    with pytest.raises(GroundshiftError, match="pass looks="):
        Speckle.of(torch.rand(40, 40), torch.rand(40, 40))


@pytest.mark.parametrize("looks", [1.0, 2.4, 4.9])
def test_uniform_ground_has_the_speckle_asked_for(looks):
    speckle = Speckle(looks, (0.5, 0.8))
    pair = uniform(speckle, 0.6, 512, torch.Generator().manual_seed(2))
    one, two = (each.double() ** 2 for each in pair)
    for each in (one, two):
        assert float(each.mean() ** 2 / each.var()) == pytest.approx(looks, rel=0.03)
    flat = torch.stack([one.flatten(), two.flatten()])
    assert float(torch.corrcoef(flat)[0, 1]) == pytest.approx(0.36, abs=0.02)
    about = one - one.mean()
    for lag, width in (((1, 0), 0.5), ((0, 1), 0.8)):
        moved = about.roll(lag, (0, 1))
        found = float((about * moved).mean() / about.square().mean())
        assert found == pytest.approx(float(np.sinc(width)) ** 2, abs=0.02)


@pytest.mark.parametrize("estimator", [Pearson(), LogRatio(4.87)], ids=repr)
def test_sigma_is_true_and_bias_small(estimator):
    """Sentinel-1's ground range product, whose speckle is none of those that are simulated."""
    radar = sentinel1.grd(2)
    operator = Calibrated(Windowed(estimator, 11), Speckle(4.87, (0.364, 0.385)))
    errors, sigmas = [], []
    for step, coherence in enumerate(np.linspace(0.02, 0.96, 16)):
        one, other, _ = acquired(radar, float(coherence), 128, seed=10 + step)
        found = tile.map_pair(operator, one.numpy(), other.numpy())
        inner = (slice(12, -12), slice(12, -12))
        errors.append(found.coherence.compute()[inner] - coherence)
        sigmas.append(found.sigma.compute()[inner])
    error, sigma = np.array(errors), np.array(sigmas)
    assert abs(error.mean()) < 0.03
    ratio = np.abs(error / sigma)
    assert (ratio < 1).mean() == pytest.approx(0.68, abs=0.06)
    assert (ratio < 1.96).mean() == pytest.approx(0.95, abs=0.04)


def test_what_is_not_told_from_nothing_is_said_so():
    operator = Calibrated(Windowed(window=9), Speckle(1.0, (0.4, 0.4)))
    share = {}
    for coherence in (0.0, 0.8):
        one, other, _ = acquired(Radar(0.4), coherence, 256)
        valid = tile.map_pair(operator, one.numpy(), other.numpy()).valid.compute()
        share[coherence] = float(valid[8:-8, 8:-8].mean())
    assert share[0.0] < 0.1
    assert share[0.8] > 0.95


def test_tiles_cannot_be_told():
    one, other, _ = acquired(Radar(0.4), 0.7, 130)
    one = one.clone()
    one[40:70, 20:50] = torch.nan
    pair = one.numpy(), other.numpy()
    whole = tile.map_pair(Calibrated(), *pair, tile=160)
    parts = tile.map_pair(Calibrated(), *pair, tile=32)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a.compute(), b.compute(), atol=1e-4)
