"""Random fields have the spectrum they are named after."""

import numpy as np
import pytest

from groundshift.synth.power_law import interpolate, power_law_field


def slope(k: np.ndarray, power: np.ndarray, low: float, high: float) -> float:
    chosen = (k > low) & (k < high)
    return float(np.polyfit(np.log(k[chosen]), np.log(power[chosen]), 1)[0])


@pytest.mark.parametrize("decay", [1.8, 2.0])
def test_amplitude_decays_with_the_wavenumber(decay: float) -> None:
    n, spacing = 512, 50.0
    field = power_law_field((n, n), spacing, decay, (4000.0, 2000.0), np.random.default_rng(1))
    power = np.abs(np.fft.rfft2(field)) ** 2
    k = (
        2 * np.pi * np.hypot(2 * np.fft.fftfreq(n, spacing)[:, None], np.fft.rfftfreq(n, spacing))
    )  # in units of the shorter correlation
    assert slope(k.ravel(), power.ravel(), 5e-3, 0.06) == pytest.approx(-2 * decay, abs=0.05)


def test_profiles_of_a_self_affine_surface() -> None:
    """Power ``k^-(1 + 2H)`` along any line."""
    hurst, n, spacing = 0.8, 1024, 20.0
    field = power_law_field((n, n), spacing, 1 + hurst, (3e3, 3e3), np.random.default_rng(2))
    power = (np.abs(np.fft.rfft(field, axis=1)) ** 2).mean(0)
    k = 2 * np.pi * np.fft.rfftfreq(n, spacing)
    assert slope(k, power, 2e-3, 3e-2) == pytest.approx(-(1 + 2 * hurst), abs=0.1)


def test_standard_and_repeatable() -> None:
    first, second = (
        power_law_field((101, 67), 10.0, 2.0, (90.0, 90.0), np.random.default_rng(3))
        for _ in range(2)
    )
    assert first.shape == (101, 67)
    assert np.array_equal(first, second)
    assert first.std() == pytest.approx(1, abs=0.15)


def test_interpolation_is_exact_for_planes() -> None:
    i, j = np.meshgrid(np.arange(9.0), np.arange(7.0), indexing="ij")
    a, b = np.random.default_rng(4).uniform(0, 1, (2, 50)) * [[40.0], [30.0]]
    assert np.allclose(interpolate(3 * i - 2 * j, 5.0, a, b), 3 * a / 5 - 2 * b / 5)
