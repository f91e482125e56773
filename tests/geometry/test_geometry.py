"""From what images show to how the ground moved."""

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Geod, Transformer

from groundshift import field, geometry
from groundshift.errors import GridError, GroundshiftError
from groundshift.geometry import Observation

SHAPE = (40, 50)
GRID = GeoBox(SHAPE, Affine(20, 0, 5e5, 0, -20, 4e6), "EPSG:32633")


def made(dx: np.ndarray, dy: np.ndarray, sigma: float, grid: GeoBox = GRID) -> xr.Dataset:
    """A field of displacements in metres along x and y."""
    noise = np.random.default_rng(1).normal(0, sigma, (2, *SHAPE))
    whole = np.full(SHAPE, sigma, np.float32)
    one = field.build(
        field.Planes(0 * dx, 0 * dx, whole, whole, np.ones(SHAPE, np.float32)), grid, stride=1
    )
    for name, plane, part in zip(("dx", "dy"), (dx, dy), noise, strict=True):
        one[name] = one[name].copy(data=(plane + part).astype(np.float32))
        one[f"sigma_{name}"] = one[f"sigma_{name}"].copy(data=whole)
    return one


def metres() -> tuple[np.ndarray, np.ndarray]:
    """East and north of the cells, from the corner."""
    rows, columns = np.indices(SHAPE) + 0.5
    return 20 * columns, 20 * (SHAPE[0] - rows)


def test_directions_of_sight_by_hand() -> None:
    """Sentinel-1: ascending flies to 348 degrees and looks east; what sinks goes away."""
    ascending, descending = geometry.range_vector(39, 348), geometry.range_vector(39, 192)
    assert ascending[0] > 0.6 > 0 > ascending[2]
    assert descending[0] < -0.6
    assert ascending[1] == pytest.approx(-np.sin(np.deg2rad(39)) * np.sin(np.deg2rad(348)))
    for vector in (ascending, descending, geometry.azimuth_vector(348)):
        assert np.linalg.norm(vector) == pytest.approx(1)
    assert np.dot(ascending, geometry.azimuth_vector(348)) == pytest.approx(0)
    left = geometry.range_vector(39, 348, "left")
    assert left[0] == pytest.approx(-ascending[0])
    with pytest.raises(GroundshiftError, match="'right' or 'left'"):
        geometry.range_vector(39, 348, "down")


@pytest.mark.parametrize("look", ["right", "left"])
def test_flat_motion_is_the_inverse_of_what_is_seen(look: str) -> None:
    east, north, incidence, heading = 3.0, -2.0, 41.0, 195.0
    seen = [
        float(np.dot((east, north, 0.0), vector))
        for vector in (
            geometry.range_vector(incidence, heading, look),
            geometry.azimuth_vector(heading),
        )
    ]
    found = geometry.flat(*seen, incidence, heading, look)
    assert [float(v) for v in found] == pytest.approx([east, north])


def test_four_observations_tell_east_north_and_up() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(0, 2, (3, 4000))
    vectors = [
        geometry.range_vector(39, 348),
        geometry.azimuth_vector(348),
        geometry.range_vector(37, 192),
        geometry.azimuth_vector(192),
    ]
    sigmas = (0.1, 0.5, 0.2, 0.6)
    seen = [
        Observation(v @ truth + rng.normal(0, s, 4000), s, v)
        for v, s in zip(map(np.array, vectors), sigmas, strict=True)
    ]
    found = geometry.combine(seen)
    errors = np.array(found[:3]) - truth
    matrix = sum(np.outer(v, v) / s**2 for v, s in zip(vectors, sigmas, strict=True))
    covariance = np.linalg.inv(matrix)
    assert np.allclose(found.covariance[..., 7], covariance)
    assert np.cov(errors) == pytest.approx(covariance, rel=0.15, abs=0.003)
    assert np.allclose([s[3] for s in found.sigma], np.sqrt(np.diag(covariance)))
    seen[0].value[5] = np.nan
    seen[2].value[6] = seen[3].value[6] = np.nan
    found = geometry.combine(seen)
    assert np.isfinite(found.up[5])
    assert np.isnan(found.up[6])
    assert np.isnan(found.covariance[..., 6]).all()


def test_a_slope_or_flat_ground_takes_the_place_of_an_observation() -> None:
    truth = np.array([1.5, -0.5])
    rise = (np.array([0.2]), np.array([-0.4]))
    up = truth[0] * rise[0][0] + truth[1] * rise[1][0]
    vectors = geometry.range_vector(39, 348), geometry.azimuth_vector(348)
    seen = [Observation(np.array([np.dot((*truth, up), v)]), 0.1, v) for v in vectors]
    found = geometry.combine(seen, rise)
    assert (found.east[0], found.north[0], found.up[0]) == pytest.approx((*truth, up))
    lift = np.array([[1, 0], [0, 1], [rise[0][0], rise[1][0]]])
    inner = found.covariance[:2, :2, 0]
    assert np.allclose(found.covariance[..., 0], lift @ inner @ lift.T)
    level = geometry.combine(seen, "horizontal")
    assert level.up[0] == 0 == level.covariance[2, 2, 0]
    with pytest.raises(GroundshiftError, match="do not tell 3 components"):
        geometry.combine(seen)
    with pytest.raises(GroundshiftError, match="pass 'horizontal'"):
        geometry.combine(seen, "level")


def test_observations_that_make_no_sense_are_refused_and_gaps_cost_their_cells_only() -> None:
    value, one = np.ones(3), np.ones(3)
    east, north = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    good = [Observation(value, 0.1, east), Observation(value, 0.1, north)]
    gap = Observation(value, 0.1, (np.array([1.0, np.nan, 1.0]), 0 * one, 0 * one))
    found = geometry.combine([gap, good[1]], "horizontal")
    assert np.isfinite(found.east).tolist() == [True, False, True]
    found = geometry.combine(good, (np.array([0.1, np.nan, 0.1]), 0 * one))
    assert np.isfinite(found.up).tolist() == [True, False, True]
    with pytest.raises(GroundshiftError, match="no unit vector"):
        geometry.combine([good[0], Observation(value, 0.1, (3.0, 4.0, 0.0))], "horizontal")
    with pytest.raises(GroundshiftError, match="0 or less"):
        geometry.combine([good[0], Observation(value, 0.0, north)], "horizontal")
    with pytest.raises(GroundshiftError, match="arrays of shape"):
        geometry.combine([good[0], Observation(value, np.ones(2), north)], "horizontal")
    for slope in (np.ones((5, 3)), (one, np.ones(4))):
        with pytest.raises(GroundshiftError, match="two arrays of shape"):
            geometry.combine(good, slope)  # type: ignore[arg-type]


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:3857", "EPSG:3413"])
def test_map_metres_become_metres_to_the_east_and_north(crs: str) -> None:
    """Against points that a geodesic carries 80 m to the east and 60 m to the north."""
    ellipsoid = Geod(ellps="WGS84")
    there = Transformer.from_crs(CRS(crs), CRS("EPSG:4326"), always_xy=True)
    back = Transformer.from_crs(CRS("EPSG:4326"), CRS(crs), always_xy=True)
    centre = back.transform(17.2, 70.1)
    grid = GeoBox(SHAPE, Affine(500, 0, centre[0], 0, -500, centre[1]), crs)
    rows, columns = np.indices(SHAPE) + 0.5
    x, y = centre[0] + 500 * columns, centre[1] - 500 * rows
    lon, lat = there.transform(x, y)
    turn = np.full_like(lon, np.rad2deg(np.arctan2(80, 60)))
    ends = back.transform(*ellipsoid.fwd(lon, lat, turn, np.full_like(lon, 100.0))[:2])
    found = geometry.to_ground(made(ends[0] - x, ends[1] - y, 1e-9, grid))
    assert float(np.abs(found.east - 80).max()) < 0.01
    assert float(np.abs(found.north - 60).max()) < 0.01
    if crs == "EPSG:3857":
        assert float(found.sigma_east.mean()) == pytest.approx(1e-9 * np.cos(np.deg2rad(70)), 0.02)
    with pytest.raises(GridError, match="nobody knows where north is"):
        geometry.to_ground(made(x, y, 1.0, GeoBox(SHAPE, Affine.identity(), None)))


def test_strain_of_a_linear_motion_is_exact() -> None:
    x, y = metres()
    one = made(3e-3 * x - 1e-3 * y, 2e-3 * x + 4e-3 * y, 1e-9)
    found = geometry.strain(one, 5)
    inner = {"y": slice(3, -3), "x": slice(3, -3)}
    wanted = {"exx": 3e-3, "eyy": 4e-3, "exy": 0.5e-3, "dilatation": 7e-3, "rotation": 1.5e-3}
    for name, value in wanted.items():
        assert float(np.abs(found[name].isel(inner) - value).max()) < 1e-6
    assert float(np.abs(found.shear - np.hypot(0.5e-3, 0.5e-3)).max()) < 1e-6


TURNED = Affine(100, 0, 4e5, 0, -50, 5.2e6) * Affine.rotation(30)
FEET = GeoBox(SHAPE, Affine(100, 0, 1e6, 0, -100, 2e5), "EPSG:2263")


@pytest.mark.parametrize(
    "grid",
    [GeoBox(SHAPE, TURNED, "EPSG:32633"), GeoBox(SHAPE, Affine.scale(1, 1), None), FEET],
    ids=["turned, oblong cells", "pixels", "feet"],
)
def test_strain_of_any_grid_is_exact_and_knows_its_noise(grid: GeoBox) -> None:
    rows, columns = np.indices(SHAPE) + 0.5
    x, y = grid.affine * (columns, rows)
    unit = 1200 / 3937 if grid.crs is not None and grid.crs.epsg == 2263 else 1.0
    x, y = (x - x.mean()) * unit, (y - y.mean()) * unit
    rng = np.random.default_rng(4)
    one = made(3e-3 * x - 1e-3 * y, 2e-3 * x + 4e-3 * y, 1e-9, grid)
    found = geometry.strain(one, 5)
    inner = {"y": slice(3, -3), "x": slice(3, -3)}
    wanted = {"exx": 3e-3, "eyy": 4e-3, "exy": 0.5e-3, "dilatation": 7e-3}
    # On the screen y points upward, against the rows.
    wanted["rotation"] = -1.5e-3 if grid.crs is None else 1.5e-3
    for name, value in wanted.items():
        assert float(np.abs(found[name].isel(inner) - value).max()) < 1e-6
    for name, noise in (("dx", 0.1), ("dy", 0.4)):
        one[name] = one[name] + rng.normal(0, noise, SHAPE).astype(np.float32)
        one[f"sigma_{name}"] = one[f"sigma_{name}"] * 0 + np.float32(noise)
    found = geometry.strain(one, 5)
    sigmas = {**{n: f"sigma_{n}" for n in ("exx", "eyy", "exy", "dilatation")}, "rotation": ""}
    for name, sigma in sigmas.items():
        ratio = (found[name] - wanted[name]) / found[sigma or "sigma_exy"]
        assert float(ratio.isel(inner).std()) == pytest.approx(1, abs=0.15), name


def test_strain_of_what_knows_no_sigma() -> None:
    x, y = metres()
    one = made(1e-3 * x, 0 * y, 0.2)
    known = geometry.strain(one, 5)
    one["sigma_dx"] = one.sigma_dx.where((x + y) % 40 < 20)
    half = geometry.strain(one, 5)
    assert np.allclose(half.sigma_exx, known.sigma_exx, equal_nan=True)
    one["sigma_dx"] = one.sigma_dx * np.nan
    none = geometry.strain(one, 5)
    assert bool(none.sigma_exx.isnull().all())
    assert np.array_equal(none.exx, known.exx, equal_nan=True)


def test_feet_of_a_map_are_metres_on_the_ground() -> None:
    one = made(np.full(SHAPE, 30.48), np.full(SHAPE, -15.24), 1e-4, FEET)
    found = geometry.to_ground(one)
    size = np.hypot(found.east, found.north)
    assert float(np.abs(size - np.hypot(30.48, 15.24)).max()) < 0.01
    assert float(np.abs(found.sigma_east - 1e-4).max()) < 1e-6
    there = FEET.affine * (25.0, 20.0)
    across = geometry.profile(one, there, 0.0, length=500, width=300)
    assert 450 < np.abs(across.distance).max() <= 500


def test_turns_of_north_near_a_pole_are_followed() -> None:
    """A map of 4000 km around the South pole: motion along x, at places of all longitudes."""
    grid = GeoBox((400, 400), Affine(1e4, 0, -2e6, 0, -1e4, 2e6), "EPSG:3031")
    rows, columns = np.indices(grid.shape) + 0.5
    x, y = grid.affine * (columns, rows)
    ones = np.ones(grid.shape, np.float32)
    planes = field.Planes(0 * ones, 3e-4 * ones, ones, ones, ones)
    found = geometry.to_ground(field.build(planes, grid, stride=1))
    away = np.hypot(x, y)
    # East is at right angles to the way to the pole.
    share = found.east * 0 + np.cos(np.arctan2(x, y))
    size = np.hypot(found.east, found.north)
    assert float(np.abs(found.east / size - share).where(away > 1.5e5).max()) < 2e-3


def test_strain_knows_its_noise_and_minds_gaps() -> None:
    x, y = metres()
    one = made(1e-3 * x, 0 * y, 0.2)
    found = geometry.strain(one, 7)
    inner = {"y": slice(4, -4), "x": slice(4, -4)}
    ratio = (found.exx.isel(inner) - 1e-3) / found.sigma_exx.isel(inner)
    assert float(ratio.std()) == pytest.approx(1, abs=0.2)
    double = geometry.strain(one, 7, correlated=4.0)
    assert np.allclose(double.sigma_exy, 2 * found.sigma_exy, equal_nan=True)
    one["dx"] = one.dx.where(x < 500)
    gappy = geometry.strain(one, 7)
    edge = np.isfinite(gappy.exx.values[20])
    assert edge[: 500 // 20].all()
    assert not edge[500 // 20 + 1 :].any()
    with pytest.raises(GroundshiftError, match="must be odd"):
        geometry.strain(one, 4)


@pytest.mark.parametrize("strike", [0.0, 35.0, 90.0, 250.0])
def test_a_fault_slips_to_the_right(strike: float) -> None:
    """The side to the right of the strike goes backward: whoever looks across sees it go right."""
    x, y = metres()
    place = 500.0, 400.0
    s, c = np.sin(np.deg2rad(strike)), np.cos(np.deg2rad(strike))
    right = (x - place[0]) * c - (y - place[1]) * s
    slip, open_, bend = 3.0, 0.5, 1e-3 * right
    parallel = np.where(right > 0, -slip / 2, slip / 2) + bend
    normal = np.where(right > 0, open_ / 2, -open_ / 2)
    one = made(parallel * s + normal * c, parallel * c - normal * s, 0.1)
    crossing = (5e5 + place[0], 4e6 - 20 * SHAPE[0] + place[1])
    across = geometry.profile(one, crossing, strike, length=300, width=200)
    assert np.all(np.diff(across.distance) >= 0)
    found = geometry.offset(across, gap=20)
    assert found.right_lateral == pytest.approx(slip, abs=4 * found.sigma_right_lateral)
    assert found.opening == pytest.approx(open_, abs=4 * found.sigma_opening)
    assert 0.01 < found.sigma_right_lateral < 0.1
    more = geometry.offset(across, gap=20, correlated=9)
    assert more.sigma_opening == pytest.approx(3 * found.sigma_opening)


def test_sigma_of_an_offset_holds() -> None:
    x = metres()[0]
    ratios = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        one = made(0 * x, np.where(x > 500, -1.0, 1.0), 1e-9)
        noise = rng.normal(0, 0.3, SHAPE) + 20 * (rng.random(SHAPE) < 0.03)
        one["dy"] = one.dy + noise.astype(np.float32)
        one["sigma_dy"] = one["sigma_dx"] = one.sigma_dx * 0 + np.float32(0.3)
        across = geometry.profile(one, (5e5 + 500, 4e6 - 400), 0, length=400, width=300)
        found = geometry.offset(across)
        ratios.append((found.right_lateral - 2.0) / found.sigma_right_lateral)
    assert np.std(ratios) == pytest.approx(1, abs=0.3)
    assert abs(np.mean(ratios)) < 0.5
    with pytest.raises(GroundshiftError, match="side has"):
        geometry.offset(across, gap=399)
    thin = geometry.profile(one, (5e5 + 500, 4e6 - 400), 0, length=12, width=300)
    with pytest.raises(GroundshiftError, match="take a longer profile"):
        geometry.offset(thin)


def test_both_parts_of_a_profile_have_a_sigma_of_their_own() -> None:
    x = metres()[0]
    one = made(0 * x, 0 * x, 1e-9)
    one["sigma_dx"], one["sigma_dy"] = one.sigma_dx * 0 + 0.1, one.sigma_dy * 0 + 0.8
    for strike, along, across in ((0.0, 0.8, 0.1), (90.0, 0.1, 0.8)):
        found = geometry.profile(one, (5e5 + 500, 4e6 - 400), strike, length=200, width=100)
        assert np.allclose(found.sigma_parallel, along)
        assert np.allclose(found.sigma_normal, across)
