"""What `grid.align` promises, whatever the grids."""

import numpy as np
import xarray as xr
from affine import Affine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from groundshift.grid import align, coordinates, geobox_of

UTM = "EPSG:32633"
SHAPE = (60, 70)
CORNER = (500_000.0, 4_000_000.0)

whole = st.integers(-40, 40)
fractions = st.floats(-0.9, 0.9)
sizes = st.integers(40, 90)


def grid(
    shape: tuple[int, int] = SHAPE,
    row: float = 0,
    column: float = 0,
    step: float = 10,
    flip: bool = False,
) -> GeoBox:
    """North-up (or south-up) grid whose top left corner is so many pixels from the corner."""
    x, y = CORNER[0] + 10 * column, CORNER[1] - 10 * row
    affine = Affine(step, 0, x, 0, -step, y)
    if flip:
        affine = Affine(step, 0, x, 0, step, y - shape[0] * step)
    return GeoBox(shape, affine, UTM)


def image(box: GeoBox, values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(
        values.astype("f4"), dims=("y", "x"), coords=coordinates(box)
    ).chunk(y=33, x=41)  # fmt: skip


def noise(box: GeoBox) -> xr.DataArray:
    return image(box, np.random.default_rng(0).normal(size=box.shape.yx))


def smooth(box: GeoBox) -> xr.DataArray:
    """Waves of 150 m and more, known at every coordinate."""
    x, y = coordinates(box)["x"].values - CORNER[0], coordinates(box)["y"].values - CORNER[1]
    values = 10 + np.sin(2 * np.pi * (x / 160 + y[:, None] / 400)) + np.cos(y[:, None] / 30)
    return image(box, values)


@given(whole, whole, sizes, sizes, st.booleans())
@settings(max_examples=60, deadline=None)
def test_whole_pixels_are_exact_slices(
    row: int, column: int, height: int, width: int, flip: bool
) -> None:
    there = grid((height, width), row, column, flip=flip)
    assume(row < SHAPE[0] and column < SHAPE[1] and row + height > 0 and column + width > 0)
    a, b = align(noise(grid()), noise(there))
    top, left = max(row, 0), max(column, 0)
    bottom, right = min(row + height, SHAPE[0]), min(column + width, SHAPE[1])
    values = noise(there).values[::-1] if flip else noise(there).values
    np.testing.assert_array_equal(
        b, values[top - row : bottom - row, left - column : right - column]
    )
    np.testing.assert_array_equal(a, noise(grid()).values[top:bottom, left:right])


@given(whole, whole, fractions, fractions, st.floats(5, 13), st.booleans())
@settings(max_examples=40, deadline=None)
def test_smooth_ground_stays_in_place(
    row: int, column: int, dy: float, dx: float, step: float, flip: bool
) -> None:
    there = grid((90, 90), row / 3 + dy, column / 3 + dx, step, flip)
    a, b = align(smooth(grid()), smooth(there))
    # At an image's edge the kernel is one-sided, and there the secondary ends.
    inner = abs(b - a)[10:-10, 10:-10]
    assume(inner.size > 0)
    assert float(inner.max()) < 1e-3 * 10


@given(whole, whole, fractions, st.booleans())
@settings(max_examples=30, deadline=None)
def test_aligning_twice_changes_nothing(row: int, column: int, dx: float, flip: bool) -> None:
    a, b = align(noise(grid()), noise(grid((80, 80), row / 2, column / 2 + dx, flip=flip)))
    again = align(a, b)
    assert again[0] is a
    assert again[1] is b


@given(st.floats(-30, 30), st.floats(-30, 30), sizes, sizes, st.booleans())
@settings(max_examples=50, deadline=None)
def test_the_grid_is_the_overlap(
    row: float, column: float, height: int, width: int, flip: bool
) -> None:
    near = 1e-4
    # Not where rounding decides.
    assume(all(abs(abs(o - round(o)) - near) > 1e-6 for o in (row, column)))
    there = grid((height, width), row, column, flip=flip)
    a, b = align(noise(grid()), noise(there))
    assert geobox_of(a) == geobox_of(b)
    assert a.shape == b.shape == geobox_of(a).shape.yx
    # Exactly the reference's pixels whose centres lie between those of the secondary.
    rows, columns = (np.arange(n) - o for n, o in zip(SHAPE, (row, column), strict=True))
    inside = [
        (v >= -near) & (v <= n - 1 + near)
        for v, n in zip((rows, columns), (height, width), strict=True)
    ]
    assert a.shape == (inside[0].sum(), inside[1].sum())
    np.testing.assert_allclose(a.y, coordinates(grid())["y"][inside[0]])
    np.testing.assert_allclose(a.x, coordinates(grid())["x"][inside[1]])
    assert np.isfinite(b.values[1:-1, 1:-1]).all()
