import logging
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Geod

from groundshift import field
from groundshift.errors import GridError, GroundshiftError
from groundshift.field import Planes

SHAPE = (12, 16)
STRIDE = 4
ORIGIN = Affine.translation(500_000, 4_000_000)
GRIDS = {
    "north-up": GeoBox(SHAPE, ORIGIN * Affine.scale(10, -10), "EPSG:32633"),
    "south-up": GeoBox(SHAPE, ORIGIN * Affine.scale(10, 10), "EPSG:32633"),
    "flipped": GeoBox(SHAPE, ORIGIN * Affine.scale(-10, -10), "EPSG:32633"),
    "rotated": GeoBox(SHAPE, ORIGIN * Affine.rotation(30) @ Affine.scale(10, -20), "EPSG:32633"),
    "turned": GeoBox(SHAPE, ORIGIN * Affine(0, 10, 0, 10, 0, 0), "EPSG:32633"),
    "geographic": GeoBox(SHAPE, Affine(1e-3, 0, 10, 0, -2e-3, 60), "EPSG:4326"),
    "none": GeoBox(SHAPE, Affine.translation(-0.5, -0.5), None),
}
DAY = np.datetime64("2020-02-07")


def planes(seed: int = 0) -> Planes:
    rng = np.random.default_rng(seed)
    shape = (SHAPE[0] // STRIDE, SHAPE[1] // STRIDE)
    values = rng.uniform(0.1, 2, (5, *shape)).astype("f4")
    values[0] -= 1
    return Planes(*values)


def make(grid: str, **options: Any) -> xr.Dataset:
    return field.build(planes(), GRIDS[grid], stride=STRIDE, **options)


@pytest.mark.parametrize("grid", GRIDS)
def test_components_follow_the_coordinates(grid: str) -> None:
    """The definition: pixel (r, c) + (dy, dx) lies at (x + dx, y + dy) on the map."""
    box, pair = GRIDS[grid], planes()
    result = field.build(pair, box, stride=STRIDE)
    for i, j in np.ndindex(pair.dy.shape):
        column, row = (j + 0.5) * STRIDE, (i + 0.5) * STRIDE
        x, y = box.affine * (column, row)
        x2, y2 = box.affine * (column + float(pair.dx[i, j]), row + float(pair.dy[i, j]))
        if grid == "geographic":
            geod = Geod(ellps="WGS84")
            expected_x = np.sign(x2 - x) * geod.inv(x, y, x2, y)[2]
            expected_y = np.sign(y2 - y) * geod.inv(x, y, x, y2)[2]
        else:
            expected_x, expected_y = x2 - x, y2 - y
        # A degree's length changes along a displacement by a few parts in 10,000.
        assert result.dx.values[i, j] == pytest.approx(expected_x, rel=1e-4, abs=1e-3)
        assert result.dy.values[i, j] == pytest.approx(expected_y, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("grid", GRIDS)
def test_sigma_is_the_spread_of_the_components(grid: str) -> None:
    pair = planes()
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((2, 4000, *pair.dy.shape))
    result = field.build(pair, GRIDS[grid], stride=STRIDE)
    m = field.metres_per_pixel(GRIDS[grid], field.geobox_of(result))
    dy, dx = pair.sigma_dy * noise[0], pair.sigma_dx * noise[1]
    np.testing.assert_allclose(result.sigma_dx, (m.xx * dx + m.xy * dy).std(0), rtol=0.06)
    np.testing.assert_allclose(result.sigma_dy, (m.yx * dx + m.yy * dy).std(0), rtol=0.06)


@pytest.mark.parametrize("grid", GRIDS)
def test_pixels_undoes_build(grid: str) -> None:
    pair = planes()
    back = field.pixels(field.build(pair, GRIDS[grid], stride=STRIDE))
    for name, value in pair._asdict().items():
        np.testing.assert_allclose(getattr(back, name), value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_sigma_of_a_grid_turned_by_45_degrees_is_shared() -> None:
    box = GeoBox(SHAPE, ORIGIN * Affine.rotation(45) @ Affine.scale(10), "EPSG:32633")
    pair = planes()
    back = field.pixels(field.build(pair, box, stride=STRIDE))
    expected = np.sqrt((pair.sigma_dx**2 + pair.sigma_dy**2) / 2)
    np.testing.assert_allclose(back.sigma_dx, expected, rtol=1e-4)


@pytest.mark.parametrize("grid", GRIDS)
def test_dask_and_numpy_agree_and_dask_stays_lazy(grid: str) -> None:
    lazy = Planes(*(da.from_array(value, chunks=2) for value in planes()))
    result = field.build(lazy, GRIDS[grid], stride=STRIDE)
    assert all(result[name].chunks for name in field.DISPLACEMENTS)
    xr.testing.assert_identical(result.compute(), make(grid))
    assert all(isinstance(value, da.Array) for value in field.pixels(result))


def test_nan_of_one_component_stays_there() -> None:
    pair = planes()
    pair.dy[0, 0] = np.nan
    result = field.build(pair, GRIDS["north-up"], stride=STRIDE)
    assert np.isnan(result.dy[0, 0])
    assert np.isfinite(result.dx[0, 0])


@pytest.mark.parametrize("grid", GRIDS)
def test_layout(grid: str) -> None:
    result = make(grid, reference_time=DAY, matcher="NCC()", history="a\nb")
    assert list(result.data_vars) == list(field.DISPLACEMENTS)
    assert all(result[name].dtype == "f4" for name in result.data_vars)
    assert field.geobox_of(result).shape == (3, 4)
    np.testing.assert_allclose(
        field.geobox_of(result).affine, GRIDS[grid].affine * Affine.scale(STRIDE), atol=1e-9
    )
    assert result.attrs["schema"] == "groundshift-field/1"
    assert result.attrs["matcher"] == "NCC()"
    assert result.dx.attrs["units"] == ("pixel" if grid == "none" else "m")
    assert result.reference_time.values == DAY
    assert np.isnat(result.secondary_time.values)
    assert field.check(result) is result


def test_other_units_of_length_become_metres() -> None:
    feet = GeoBox(SHAPE, Affine(10, 0, 1e6, 0, -10, 1e6), "EPSG:2263")
    result = field.build(planes(), feet, stride=STRIDE)
    np.testing.assert_allclose(result.dx, planes().dx * 10 * 1200 / 3937, rtol=1e-6)


def test_warns_where_the_map_is_stretched(caplog: pytest.LogCaptureFixture) -> None:
    mercator = GeoBox(SHAPE, Affine(10, 0, 1e6, 0, -10, 8_399_738), "EPSG:3857")
    with caplog.at_level(logging.WARNING):
        make("north-up")
        assert not caplog.records
        field.build(planes(), mercator, stride=STRIDE)
    assert "differ by 100 %" in caplog.text


def test_planes_must_fit() -> None:
    with pytest.raises(GridError, match="3 x 4 cells do not fit an image of 12 x 16 pixels"):
        field.build(planes(), GRIDS["none"], stride=2)


def test_partial_last_cells_may_be_left_out() -> None:
    box = GeoBox((13, 18), GRIDS["none"].affine, None)
    assert field.build(planes(), box, stride=STRIDE).dx.shape == (3, 4)


def test_check_says_what_is_missing() -> None:
    with pytest.raises(GroundshiftError, match="sigma_dx, score missing"):
        field.check(make("none").drop_vars(["sigma_dx", "score"]))
    with pytest.raises(GroundshiftError, match="select one pair"):
        field.check(make("none").expand_dims("pair"))
    odd = make("none").isel(x=[0, 1, 3])
    with pytest.raises(GroundshiftError, match="not regularly spaced"):
        field.check(odd)


@pytest.mark.parametrize("grid", ["north-up", "none"])
def test_velocity(grid: str) -> None:
    result = field.velocity(
        make(grid, reference_time=DAY, secondary_time=DAY + np.timedelta64(20, "D"))
    )
    years = 20 / 365.242198781
    np.testing.assert_allclose(result.vx, result.dx / years, rtol=1e-6)
    np.testing.assert_allclose(result.sigma_vy, result.sigma_dy / years, rtol=1e-6)
    assert result.vx.attrs["units"] == ("pixel year-1" if grid == "none" else "m year-1")
    assert field.geobox_of(result.vx.to_dataset()) == field.geobox_of(result)


def test_velocity_backward_in_time() -> None:
    forward = make("none", reference_time=DAY, secondary_time=DAY + np.timedelta64(20, "D"))
    backward = forward.assign_coords(
        reference_time=forward.secondary_time, secondary_time=forward.reference_time
    )
    result = field.velocity(backward)
    np.testing.assert_array_equal(result.vx, -field.velocity(forward).vx)
    assert (result.sigma_vx > 0).all()


def test_velocity_needs_two_dates() -> None:
    with pytest.raises(GroundshiftError, match="the secondary is unknown; pass time="):
        field.velocity(make("none", reference_time=DAY))
    with pytest.raises(GroundshiftError, match="both images are of 2020-02-07"):
        field.velocity(make("none", reference_time=DAY, secondary_time=DAY))
