"""Cleaning displacement fields."""

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from groundshift import field, quality
from groundshift.errors import GridError, GroundshiftError
from groundshift.quality.cells import keep

SHAPE, CELL = (60, 80), 40.0
IMAGE = GeoBox((240, 320), Affine(10, 0, 5e5, 0, -10, 4e6), "EPSG:32633")
NOISE = 0.5
"""Metres; a pixel has 10."""


def made(dx: np.ndarray, dy: np.ndarray, noise: float = NOISE, seed: int = 1) -> xr.Dataset:
    """A field of displacements in metres, with noise."""
    rng = np.random.default_rng(seed)
    east, north = (plane + rng.normal(0, noise, SHAPE) for plane in (dx, dy))
    sigma = np.full(SHAPE, noise / 10)
    planes = field.Planes(-north / 10, east / 10, sigma, sigma, np.full(SHAPE, 0.8))
    return field.build(planes, IMAGE, stride=4)


def places() -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the cells."""
    rows, columns = np.indices(SHAPE, dtype=float)
    return rows, columns


def waves() -> tuple[np.ndarray, np.ndarray]:
    rows, columns = places()
    return 5 * np.sin(rows / 15), 3 * np.cos(columns / 20)


def known(cleaned: xr.Dataset) -> np.ndarray:
    assert np.array_equal(np.isfinite(cleaned.dx), np.isfinite(cleaned.dy))
    assert np.array_equal(np.isfinite(cleaned.dx), np.isfinite(cleaned.score))
    return np.isfinite(cleaned.dx.values)


def test_limits_leave_out_what_is_beyond() -> None:
    one = made(*waves())
    one.score[3, 4] = 0.1
    one.sigma_dy[5, 6] = 9.0
    one.dx[7, 8] = 99.0
    before = one.copy(deep=True)
    cleaned = quality.limit(one, score=0.2, sigma=2.0, magnitude=50.0)
    assert sorted(map(tuple, np.argwhere(~known(cleaned)))) == [(3, 4), (5, 6), (7, 8)]
    xr.testing.assert_identical(one, before)
    assert "limits" in cleaned.attrs["history"]


def test_median_test_finds_outliers_and_spares_the_rest() -> None:
    rng = np.random.default_rng(5)
    one = made(*waves())
    wrong = rng.random(SHAPE) < 0.1
    one["dx"] = one.dx + wrong * rng.choice([-30.0, 30.0], SHAPE).astype(np.float32)
    one.dx[20:23, 20:22] = np.nan
    kept = known(quality.median_test(one))
    measured = np.isfinite(one.dx.values)
    assert kept[wrong & measured].mean() < 0.03
    assert kept[~wrong & measured].mean() > 0.97
    assert not kept[~measured].any()


def test_median_test_against_one_cell_by_hand() -> None:
    one = made(*waves())
    dx, dy = one.dx.values.astype(float), one.dy.values.astype(float)
    ratio = 0.0
    for plane in (dx, dy):
        around = np.delete(plane[8:13, 28:33].ravel(), 12)
        middle = np.median(around)
        ratio += ((plane[10, 30] - middle) / (np.median(np.abs(around - middle)) + 1.0)) ** 2
    ratio = np.sqrt(ratio)
    assert known(quality.median_test(one, ratio * 1.001))[10, 30]
    assert not known(quality.median_test(one, ratio * 0.999))[10, 30]


def test_the_way_back_has_to_lead_home() -> None:
    rows, columns = places()
    dx, dy = 60 + 0.2 * columns, -40 + 0 * rows
    there = made(dx, dy, noise=0.01)
    # What is at column c came from c - dx / CELL: exact for a linear field.
    back = made(-(60 + 0.2 * (columns - 60 / CELL)) / (1 + 0.2 / CELL), -dy, noise=0.01)
    back.dx[30, 40] = 50.0
    kept = known(quality.consistent(there, back, 0.1))
    assert not kept[29, 38]
    assert kept[:-2, :-5].mean() > 0.99
    assert not kept[:, -1].any()
    with pytest.raises(GridError, match="on one grid"):
        quality.consistent(there, back.odc.assign_crs("EPSG:32634"))


def test_islands_go() -> None:
    one = made(*waves())
    lake = np.zeros(SHAPE, bool)
    lake[10:30, 10:30] = True
    lake[18:21, 18:21] = False
    lake[21, 21] = False  # by its corner
    one["dx"] = one.dx.where(~lake)
    assert known(quality.connected(one, 10))[18:21, 18:21].all()
    assert not known(quality.connected(one, 11))[18:22, 18:22].any()
    assert known(quality.connected(one, 11))[40, 40]


@pytest.mark.parametrize("kind", ["median", "ramp", "quadratic"])
def test_a_tie_takes_away_what_stable_ground_shows(kind: str) -> None:
    rows, columns = places()
    y, x = rows / 59 * 2 - 1, columns / 79 * 2 - 1
    bends = {"median": 0 * x, "ramp": 3 * x - 2 * y, "quadratic": 3 * x + 4 * x * y - 2 * y**2}
    moving = np.hypot(rows - 30, columns - 30) < 15
    stable = ~moving & (rows % 3 > 0)
    one = made(7 + bends[kind] + 20 * moving, -4 - bends[kind])
    tied = quality.tie(one, kind, stable)
    assert np.abs(tied.dx.values - 20 * moving).mean() < 1.1 * 0.8 * NOISE
    assert np.abs(tied.dy.values).mean() < 1.1 * 0.8 * NOISE
    assert tied.attrs["error_stationary_x"] == pytest.approx(NOISE, rel=0.1)
    middle = 7 + (0 if kind != "quadratic" else 0.0)
    assert tied.attrs["stable_shift_x"] == pytest.approx(middle, abs=0.15)
    robust = quality.tie(one, kind)
    assert np.abs(robust.dx.values - 20 * moving).mean() < 1.2 * 0.8 * NOISE


def test_a_tie_to_too_little(caplog: pytest.LogCaptureFixture) -> None:
    one = made(*waves())
    with pytest.raises(GroundshiftError, match="0 stable cells"):
        quality.tie(one, "ramp", np.zeros(SHAPE))
    with pytest.raises(GridError, match="one value per cell"):
        quality.tie(one, "ramp", np.ones((3, 3)))
    with pytest.raises(GroundshiftError, match="median, ramp, quadratic"):
        quality.tie(one, "cubic")
    columns = places()[1]
    quality.tie(made(np.where(columns % 10 < 7, 90.0 * (columns // 10), 0.0), 0 * columns))
    assert "much may have moved" in caplog.text


def test_stable_ground_tells_bias_scatter_and_honesty() -> None:
    one = made(7 + 0 * places()[0], -4 + 0 * places()[0])
    found = quality.stable_statistics(one, np.ones(SHAPE))
    assert found.cells == 4800
    assert (found.shift_dx, found.shift_dy) == pytest.approx((7, -4), abs=0.05)
    assert (found.nmad_dx, found.nmad_dy) == pytest.approx((NOISE, NOISE), rel=0.05)
    assert found.excess == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("direction", [0.0, 12.0, 90.0, -60.0])
def test_stripes_go_and_motion_stays(direction: float) -> None:
    rows, columns = places()
    angle = np.deg2rad(direction)
    across = columns * np.cos(angle) + rows * np.sin(angle)
    steps = 4 * np.sign(np.sin(across / 5))
    moving = np.hypot(rows - 30, columns - 30) < 12
    dx, dy = waves()
    one = made(steps + 20 * moving, -steps / 2)
    stable = ~moving
    cleaned = quality.destripe(one, direction, stable=stable)
    inner = (slice(8, -8), slice(8, -8))
    left = (cleaned.dx.values - 20 * moving)[inner]
    # A step between two stripes blurs over the cells that both share.
    assert np.abs(left).mean() < (0.55 if direction % 90 == 0 else 1.2)
    assert np.abs((one.dx.values - 20 * moving)[inner]).mean() > 3
    slow = made(steps + dx, dy)
    cleaned = quality.destripe(slow, direction, wide=40)
    assert np.abs((cleaned.dx.values - dx)[inner]).mean() < 1.9


def test_streaks_that_end() -> None:
    rows, columns = places()
    streaks = 4 * np.sin(columns / 3) * (rows < 30)
    one = made(streaks, 0 * rows)
    whole = quality.destripe(one, 0, wide=30)
    parts = quality.destripe(one, 0, wide=30, length=20)
    errors = [float(np.abs(each.dx.values).mean()) for each in (one, whole, parts)]
    assert errors[2] < 0.7 * errors[1] < errors[0]


def test_stripes_need_to_be_told_from_motion() -> None:
    with pytest.raises(GroundshiftError, match="more than the field has"):
        quality.destripe(made(*waves()), 10.0, wide=100)
    with pytest.raises(GroundshiftError, match="stable ground, or wide="):
        quality.destripe(made(*waves()), 10.0)


def test_gaps_are_filled_and_said_to_be() -> None:
    dx, dy = waves()
    one = made(dx, dy)
    hole = np.hypot(places()[0] - 30, places()[1] - 40) < 6
    one = keep(one, ~hole)
    full = quality.fill(one, 10)
    assert np.isfinite(full.dx.values).all()
    assert np.array_equal(full.filled.values > 0, hole)
    assert np.array_equal(full.dx.values[~hole], one.dx.values[~hole])
    error = (full.dx.values - dx)[hole]
    assert np.abs(error).mean() < 0.8
    assert np.mean(np.abs(error) <= 2 * full.sigma_dx.values[hole]) > 0.9
    part = quality.fill(one, 2)
    assert 0 < (part.filled.values > 0).sum() < hole.sum()
    assert np.isnan(part.dx.values[30, 40])
    assert np.isnan(full.score.values[30, 40])


def test_velocities_follow() -> None:
    day = np.datetime64("2020-01-01", "ns")
    one = made(7 + 0 * places()[0], 0 * places()[0]).assign_coords(
        reference_time=day, secondary_time=day + np.timedelta64(73, "D")
    )
    tied = quality.tie(field.velocity(one), "median")
    assert float(np.abs(tied.vx - tied.dx * 365.2422 / 73).max()) < 1e-3
    assert not np.isfinite(quality.limit(tied, magnitude=0.0).vx).any()
