"""Estimators on drawn intensities and on images: right in the mean, tiled, honest about no data."""

import numpy as np
import pytest
import torch
from scipy.special import gammaln

from groundshift import tile
from groundshift.coherent import (
    AmplitudeCorrelation,
    GuarnieriPrati,
    Likelihood,
    LogCorrelation,
    LogRatio,
    Pearson,
    Windowed,
)
from groundshift.coherent.estimators import HIGHEST
from groundshift.coherent.laws import intensities
from groundshift.errors import GroundshiftError
from groundshift.synth.motions import Constant
from groundshift.synth.radar import Radar, Surface, acquire

BY_LOOKS = (GuarnieriPrati, AmplitudeCorrelation, LogCorrelation, LogRatio, Likelihood)
CASES = [(looks, g) for looks in (1.0, 4.9) for g in (0.0, 0.4, 0.8, 0.95)]


def made(kind, looks):
    return kind(looks) if kind in BY_LOOKS else kind()


def drawn(coherence, looks, shape):
    pair = intensities(coherence, looks, shape, np.random.default_rng(5))
    return [torch.from_numpy(each) for each in pair]


@pytest.mark.parametrize("kind", [Pearson, *BY_LOOKS])
@pytest.mark.parametrize(("looks", "coherence"), CASES)
def test_many_samples_give_the_square(kind, looks, coherence):
    estimator = made(kind, looks)
    one, other = drawn(coherence, looks, (200_000,))
    planes = estimator.of(one, other)
    assert len(planes) == estimator.products
    found = float(estimator.squared(planes.mean(-1, keepdim=True))[0])
    # At nothing a likelihood is flat: its maximum is at .1 or below.
    allowed = 0.02 if coherence else 0.04
    assert found == pytest.approx(min(coherence, HIGHEST) ** 2, abs=allowed)


@pytest.mark.parametrize("looks", [1.0, 4.9])
def test_likelihood_is_that_of_the_law(looks):
    """Against a slow integral of the law over what both dates kept."""
    estimator = Likelihood(looks)
    one, other = drawn(0.7, looks, (40,))
    planes = estimator.of(one, other)
    rng = np.random.default_rng(0)
    for step in (8, 20):
        rho = (step * HIGHEST / (len(planes) - 1)) ** 2
        # p(y | x) is a mixture of gamma laws: k is Poisson around rho x / (1 - rho).
        x, y = (looks * each.numpy()[:, None] for each in (one, other))
        k = rng.poisson(rho * x / (1 - rho), (40, 400_000))
        rest = y / (1 - rho)
        log = (looks + k - 1) * np.log(rest) - rest - gammaln(looks + k) - np.log(1 - rho)
        at_zero = ((looks - 1) * np.log(y) - y - gammaln(looks))[:, 0]
        slow = np.log(np.exp(log).mean(1)) - at_zero
        np.testing.assert_allclose(planes[step] - planes[0], slow, atol=0.03)


def test_a_formula_for_one_look_is_wrong_for_many():
    """At no coherence at all: 0.83 with five looks, as the formula for one look has it."""
    one, other = drawn(0.0, 4.9, (200_000,))
    means = GuarnieriPrati(1.0).of(one, other).mean(-1)
    assert float(GuarnieriPrati(1.0).squared(means)) == pytest.approx(2 * 4.9 / 5.9 - 1, abs=0.01)
    assert abs(float(GuarnieriPrati(4.9).squared(means))) < 0.02


def images(coherence, size=192, looks=1, seed=3):
    one = torch.tensor(1.0)
    radar = Radar(0.4) if looks == 1 else Radar(0.5, 0.73, looks=looks)
    surface = Surface(torch.tensor(coherence), one, one, torch.tensor(0j))
    pair = acquire(radar, surface, Constant(), size, torch.Generator().manual_seed(seed))
    return pair.reference, pair.secondary


@pytest.mark.parametrize("coherence", [0.5, 0.9])
def test_windows_of_images(coherence):
    for operator in (Windowed(window=21, normalise=0), Windowed(LogRatio(), 21, normalise=0)):
        found = tile.map_pair(operator, *(each.numpy() for each in images(coherence)))
        values = found.coherence.compute()
        assert np.nanmean(values[16:-16, 16:-16]) == pytest.approx(coherence, abs=0.05)


OPERATORS = [
    Windowed(),
    Windowed(window=8, stride=4, normalise=7),
    Windowed(Likelihood(2.0), window=7, normalise=0),
]


@pytest.mark.parametrize("operator", OPERATORS, ids=repr)
def test_tiles_cannot_be_told(operator):
    one, other = (each.clone() for each in images(0.7, 150))
    one[20:60, 30:90] = torch.nan
    other[100:, 140:] = torch.nan
    pair = one.numpy(), other.numpy()
    whole = tile.map_pair(operator, *pair, tile=160)
    parts = tile.map_pair(operator, *pair, tile=32)
    for a, b in zip(whole, parts, strict=True):
        # Rounding moves a flat maximum of the likelihood.
        np.testing.assert_allclose(a.compute() ** 2, b.compute() ** 2, atol=3e-4)


def test_no_data_is_no_coherence():
    one, other = (each.clone() for each in images(0.7, 128))
    one[:, :50] = torch.nan
    found = tile.map_pair(Windowed(), one.numpy(), other.numpy())
    values, valid = found.coherence.compute(), found.valid.compute()
    assert np.isnan(values[:, :46]).all()
    assert np.array_equal(np.isnan(values), np.isnan(valid))
    assert np.isfinite(values[8:-8, 50:-8]).all()
    assert set(np.unique(valid[8:-8, 50:-8])) == {1.0}


def test_gain_and_order_do_not_matter():
    one, other = images(0.6, 128)
    base = tile.map_pair(Windowed(), one.numpy(), other.numpy()).coherence.compute()
    loud = tile.map_pair(Windowed(), 300 * one.numpy(), 0.02 * other.numpy()).coherence.compute()
    swapped = tile.map_pair(Windowed(), other.numpy(), one.numpy()).coherence.compute()
    np.testing.assert_allclose(base, loud, atol=1e-3)
    np.testing.assert_allclose(base, swapped, atol=1e-3)


def test_texture_of_both_dates_is_no_coherence():
    one, other = images(0.0, 192)
    at = torch.arange(192) / 12
    texture = torch.exp(0.8 * torch.sin(at)[:, None] * torch.sin(1.3 * at))
    pair = [(each * texture).numpy() for each in (one, other)]
    plain, divided = (
        float(np.nanmean(tile.map_pair(Windowed(normalise=n), *pair).coherence.compute()))
        for n in (0, 5)
    )
    assert divided < plain - 0.05


def test_what_cannot_be():
    with pytest.raises(GroundshiftError, match="equivalent number of looks"):
        GuarnieriPrati(0.0)
    with pytest.raises(GroundshiftError, match="use an odd window, for example 9"):
        Windowed(window=8)
    with pytest.raises(GroundshiftError, match="has no middle"):
        Windowed(normalise=4)
