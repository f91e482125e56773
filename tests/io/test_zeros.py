import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundshift.io.zeros import REACH, SIDE, zero_areas


def slow(image: np.ndarray, smear: int = 0) -> np.ndarray:
    """Every square of zeros, one by one."""
    padded = np.pad(image, REACH)
    marked = np.zeros(padded.shape, bool)
    for i in range(padded.shape[0] - REACH):
        for j in range(padded.shape[1] - REACH):
            if not padded[i : i + SIDE, j : j + SIDE].any():
                marked[i : i + SIDE, j : j + SIDE] = True
    marked = marked[REACH:-REACH, REACH:-REACH]
    grown = np.zeros_like(marked)
    for i, j in np.argwhere(marked):
        grown[max(i - smear, 0) : i + smear + 1, max(j - smear, 0) : j + smear + 1] = True
    return grown


def whole(image: np.ndarray, smear: int = 0) -> np.ndarray:
    return zero_areas(image, (0, image.shape[0], 0, image.shape[1]), image.shape, smear=smear)


def scene(seed: int, shape: tuple[int, int] = (40, 50)) -> np.ndarray:
    """A slanted border, a lake and scattered zeros."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[: shape[0], : shape[1]]
    image = np.where(x + 0.3 * y < rng.uniform(0, 25), 0, rng.integers(0, 20, shape))
    top, left = rng.integers(0, 30, 2)
    image[top : top + rng.integers(5, 15), left : left + rng.integers(5, 15)] = 0
    return image


@given(st.integers(0, 1000), st.sampled_from([0, 3]))
@settings(max_examples=40, deadline=None)
def test_equals_the_definition(seed: int, smear: int) -> None:
    image = scene(seed)
    np.testing.assert_array_equal(whole(image, smear), slow(image, smear))


@given(st.integers(0, 1000), st.integers(1, 38), st.integers(1, 48), st.sampled_from([0, 8]))
@settings(deadline=None)
def test_does_not_depend_on_the_cut(seed: int, row: int, column: int, smear: int) -> None:
    image, reach = scene(seed), REACH + smear
    result = np.zeros(image.shape, bool)
    for top, bottom in ((0, row), (row, 40)):
        for left, right in ((0, column), (column, 50)):
            window = (
                max(top - reach, 0), min(bottom + reach, 40),
                max(left - reach, 0), min(right + reach, 50),
            )  # fmt: skip
            part = zero_areas(
                image[window[0] : window[1], window[2] : window[3]], window, (40, 50), smear=smear
            )
            result[top:bottom, left:right] = part[
                top - window[0] : bottom - window[0], left - window[2] : right - window[2]
            ]
    np.testing.assert_array_equal(result, whole(image, smear))


@pytest.mark.parametrize("angle", np.linspace(0, np.pi, 12))
def test_slanted_borders_go_completely(angle: float) -> None:
    y, x = np.mgrid[:60, :60] - 30.0
    border = np.cos(angle) * y + np.sin(angle) * x > 12
    assert (whole(np.where(border, 0, 1)) == border).all()


def test_small_holes_are_data() -> None:
    image = np.ones((40, 40))
    image[10:17, 10:30] = 0
    assert not whole(image).any()


def test_complex_zeros_count() -> None:
    image = np.ones((20, 20), "c8")
    image[:, :2] = 0
    image[5, 5] = 1j
    assert whole(image).sum() == 40
