"""The law of decay: exact where the data are, slow search where they are not, honest sigma."""

import numpy as np
import pytest
from scipy.optimize import minimize

from groundshift.coherent.decay import fit
from groundshift.errors import GroundshiftError

DAYS = np.array([12.0, 24, 36, 48, 60, 72, 12, 24, 36, 48, 60, 12, 24, 36, 48])


def law(rest, tau, days=DAYS):
    rest, tau = np.asarray(rest)[..., None], np.asarray(tau)[..., None]
    return (1 - rest) * np.exp(-days / tau) + rest


def test_exact_data_give_the_law_back():
    rest, tau = np.meshgrid([0.0, 0.2, 0.6], [10.0, 25.0, 80.0])
    found = fit(law(rest, tau), np.full((3, 3, len(DAYS)), 0.1), DAYS)
    np.testing.assert_allclose(found.rest, rest, atol=0.004)
    np.testing.assert_allclose(np.log(found.tau), np.log(tau), atol=0.03)
    assert float(found.misfit.max()) < 0.02
    assert (found.pairs == len(DAYS)).all()


def test_it_is_the_least_of_the_misfit():
    rng = np.random.default_rng(1)
    sigma = rng.uniform(0.05, 0.2, (20, len(DAYS)))
    data = law(np.full(20, 0.3), np.full(20, 20.0)) + sigma * rng.normal(size=sigma.shape)
    found = fit(data, sigma, DAYS)
    for g, s, rest, tau in zip(data, sigma, found.rest, found.tau, strict=True):

        def misfit(p, g=g, s=s):
            return float((((g - law(np.clip(p[0], 0, 1), np.exp(p[1]))) / s) ** 2).sum())

        starts = ([0.1, 2.0], [0.5, 3.0], [0.3, 4.0], [rest, np.log(tau)])
        best = min(minimize(misfit, p, method="Nelder-Mead").fun for p in starts)
        assert misfit([rest, np.log(tau)]) <= best + 0.1


def test_sigma_is_that_of_many_fits():
    rng = np.random.default_rng(2)
    n, sigma = 4000, 0.05
    data = law(np.full(n, 0.3), np.full(n, 20.0)) + sigma * rng.normal(size=(n, len(DAYS)))
    found = fit(data, np.full(data.shape, sigma), DAYS)
    assert np.std(found.rest) == pytest.approx(np.median(found.sigma_rest), rel=0.15)
    assert np.std(np.log(found.tau)) == pytest.approx(np.median(found.sigma_tau), rel=0.15)
    assert np.mean(found.rest) == pytest.approx(0.3, abs=0.01)
    assert np.sqrt(np.mean(found.misfit**2)) == pytest.approx(1, abs=0.03)


def test_what_is_not_measured_does_not_count():
    data = law(np.array([0.3, 0.3]), np.array([20.0, 20.0]))
    sigma = np.full(data.shape, 0.1)
    data[0, :5], sigma[0, 5] = np.nan, np.nan
    data[1, 2:] = np.nan
    found = fit(data, sigma, DAYS)
    assert found.pairs.tolist() == [len(DAYS) - 6, 2]
    assert found.rest[0] == pytest.approx(0.3, abs=0.01)
    assert np.isnan(found.rest[1])


def test_too_few_intervals_are_refused():
    with pytest.raises(GroundshiftError, match="tell no decay"):
        fit(np.ones((4, 2)), np.ones((4, 2)), np.array([12.0, 24.0]))
