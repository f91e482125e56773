"""Laws of detected images against drawn intensities and numbers of the literature."""

import numpy as np
import pytest
from scipy.special import spence

from groundshift.coherent.laws import (
    amplitude_correlation,
    intensities,
    log_covariance,
    log_variance,
    sample_coherence,
)

CASES = [(1.0, 0.7), (1.0, 0.95), (4.0, 0.9), (4.9, 0.5), (2.5, 0.3)]


def drawn(looks, coherence, count=400_000):
    return intensities(coherence, looks, (count,), np.random.default_rng(7))


@pytest.mark.parametrize(("looks", "coherence"), CASES)
def test_intensities_correlate_by_the_square_whatever_the_looks(looks, coherence):
    one, two = drawn(looks, coherence)
    assert np.corrcoef(one, two)[0, 1] == pytest.approx(coherence**2, abs=0.01)
    for each in (one, two):
        assert each.mean() == pytest.approx(1, abs=0.01)
        assert each.var() == pytest.approx(1 / looks, rel=0.02)


@pytest.mark.parametrize("coherence", [0.3, 0.9])
def test_intensities_of_complex_numbers_are_drawn_alike(coherence):
    """Quantiles of products against what the definition gives."""
    rng = np.random.default_rng(1)
    kept, lost = rng.normal(size=(2, 3, 300_000, 2)) @ np.array([1, 1j]) / np.sqrt(2)
    other = coherence * kept + np.sqrt(1 - coherence**2) * lost
    one, two = ((np.abs(z) ** 2).mean(0) for z in (kept, other))
    found = np.prod(drawn(3.0, coherence, 300_000), axis=0)
    shares = (0.05, 0.25, 0.5, 0.75, 0.95)
    np.testing.assert_allclose(
        np.quantile(found, shares), np.quantile(one * two, shares), rtol=0.02
    )


@pytest.mark.parametrize(("looks", "coherence"), CASES)
def test_logarithms_and_amplitudes(looks, coherence):
    one, two = drawn(looks, coherence)
    covariance = np.cov(np.log(one), np.log(two))
    rho = coherence**2
    assert covariance[0, 1] == pytest.approx(float(log_covariance(rho, looks)), abs=0.012)
    assert covariance[0, 0] == pytest.approx(log_variance(looks), rel=0.01)
    expected = float(amplitude_correlation(rho, looks))
    assert np.corrcoef(np.sqrt(one), np.sqrt(two))[0, 1] == pytest.approx(expected, abs=0.006)


def test_published_numbers():
    rho = np.linspace(0, 1, 11)
    # One look: the dilogarithm.
    np.testing.assert_allclose(log_covariance(rho, 1.0), spence(1 - rho), atol=1e-6)
    assert float(amplitude_correlation(0.49, 1.0)) == pytest.approx(0.4634, abs=1e-3)
    assert float(amplitude_correlation(0.81, 4.0)) == pytest.approx(0.8050, abs=1e-3)
    assert float(sample_coherence(0.5, 9)[0]) == pytest.approx(0.5385, abs=1e-4)


@pytest.mark.parametrize("looks", [1.0, 4.9])
def test_laws_begin_at_nothing_and_end_at_one(looks):
    ends = np.array([0.0, 1.0])
    np.testing.assert_allclose(
        log_covariance(ends, looks), [0, log_variance(looks)], rtol=1e-5, atol=1e-12
    )
    np.testing.assert_allclose(amplitude_correlation(ends, looks), ends, atol=1e-9)


@pytest.mark.parametrize(("coherence", "samples"), [(0.0, 9), (0.5, 9), (0.9, 25), (0.3, 4)])
def test_coherence_of_few_samples(coherence, samples):
    rng = np.random.default_rng(3)
    kept, lost = rng.normal(size=(2, 60_000, samples, 2)) @ np.array([1, 1j]) / np.sqrt(2)
    other = coherence * kept + np.sqrt(1 - coherence**2) * lost
    power = (np.abs(kept) ** 2).sum(1) * (np.abs(other) ** 2).sum(1)
    found = np.abs((kept * other.conj()).sum(1)) / np.sqrt(power)
    mean, spread = sample_coherence(coherence, samples)
    assert found.mean() == pytest.approx(float(mean), abs=0.003)
    assert found.std() == pytest.approx(float(spread), rel=0.02)
    np.testing.assert_array_equal(np.array(sample_coherence(1.0, samples)), [1, 0])
