"""Stacks of pairs, and histories that follow from them, on labelled arrays."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

import groundshift
from groundshift import field, timeseries
from groundshift.cli import report
from groundshift.errors import GridError, GroundshiftError, OutputError
from groundshift.grid import coordinates

GRID = GeoBox((24, 30), Affine(20.0, 0, 500_000, 0, -20.0, 4_000_000), "EPSG:32633")
DAYS = np.array([0, 12, 24, 48, 60, 96], "timedelta64[D]")
TIMES = np.datetime64("2020-01-05T05:00", "ns") + DAYS
PAIRS = tuple(combinations(range(len(TIMES)), 2))
NOISE = 0.05


def truth(seed: int = 1) -> np.ndarray:
    """East and north at each date, metres, (dates, 2, rows, columns); 0 at the first."""
    rng = np.random.default_rng(seed)
    speed = rng.normal(0, 10, (1, 2, *GRID.shape))
    years = (DAYS / np.timedelta64(1, "D") / 365.25)[:, None, None, None]
    found = speed * years + 0.3 * np.sin(40 * years) * (np.abs(speed) > 5)
    return (found - found[:1]).astype(np.float32)


def fields(
    pairs: tuple[tuple[int, int], ...] = PAIRS, noise: float = NOISE, grid: GeoBox = GRID
) -> list[xr.Dataset]:
    """What a tracker would give of each pair."""
    rng, exact, found = np.random.default_rng(2), truth(), []
    for i, j in pairs:
        metres = exact[j] - exact[i] + rng.normal(0, noise, exact[0].shape)
        east, north = (metres / 20).astype(np.float32)
        sigma = np.full(grid.shape, noise / 20, np.float32)
        planes = field.Planes(-north, east, sigma, sigma, np.ones(grid.shape, np.float32))
        part = field.build(planes, grid, stride=1, reference_time=TIMES[i], secondary_time=TIMES[j])
        found.append(part.assign_attrs(reference=f"{i}.tif", secondary=f"{j}.tif"))
    return found


def positions(series: xr.Dataset) -> np.ndarray:
    return np.stack([series.dx.values, series.dy.values], 1)


def test_a_history_follows_from_pairs_and_sigma_holds() -> None:
    series = groundshift.invert(fields()).compute()
    error = positions(series) - truth()
    assert np.array_equal(series.time.values, TIMES)
    assert np.all(error[0] == 0)
    assert np.sqrt(np.mean(error[1:] ** 2)) < 0.7 * NOISE
    sigma = np.stack([series.sigma_dx.values, series.sigma_dy.values], 1)
    assert np.mean(np.abs(error[1:]) <= 0.9945 * sigma[1:]) == pytest.approx(0.68, abs=0.05)
    assert np.mean(np.abs(error[1:]) <= 1.96 * sigma[1:]) == pytest.approx(0.95, abs=0.03)
    assert float(series.pairs.median()) == len(PAIRS)
    assert series.dx.attrs["units"] == "m"
    assert "15 pairs of 6 dates" in series.attrs["history"]


def test_cells_whose_triangles_do_not_close_are_left_out_if_asked() -> None:
    parts = fields()
    rng = np.random.default_rng(5)
    for part in parts:
        part["dx"][:6] += rng.normal(0, 100 * NOISE, (6, 30)).astype(np.float32)
    whole = groundshift.invert(parts).compute()
    assert float((whole.closure[6:] ** 2).mean()) == pytest.approx(1, abs=0.05)
    assert float(whole.closure[:6].min()) > 1.5
    some = groundshift.invert(parts, max_closure=1.9).compute()
    out = whole.closure.values > 1.9
    assert 0.9 < out[:6].mean() <= 1
    assert not out[6:].any()
    for name in timeseries.MOVING:
        assert np.array_equal(np.isnan(some[name].values), np.broadcast_to(out, some[name].shape))
    assert np.array_equal(some.dx.values[:, 6:], whole.dx.values[:, 6:])
    assert any(line.startswith("closure ") for line in report.series(whole))
    assert "close worse than 1.9" in some.attrs["history"]
    ahead = fields(tuple((i, i + 1) for i in range(5)))
    with pytest.raises(GroundshiftError, match="these pairs make none"):
        groundshift.invert(ahead, max_closure=2)
    with pytest.raises(GroundshiftError, match=r"max_closure=0 cannot be used"):
        groundshift.invert(parts, max_closure=0)
    blind = [part.assign({k: part[k] * np.nan for k in ("sigma_dx", "sigma_dy")}) for part in parts]
    with pytest.raises(GroundshiftError, match="pairs that know theirs"):
        groundshift.invert(blind, max_closure=2)
    assert groundshift.invert(blind).closure.isnull().all()


def test_dates_of_which_nothing_was_measured_are_named(caplog: pytest.LogCaptureFixture) -> None:
    parts = fields()
    for part, pair in zip(parts, PAIRS, strict=True):
        if 3 in pair:
            part["dx"][:] = np.nan
    found = groundshift.invert(parts)
    assert "no pair measured anything of 2020-02-22" in caplog.text
    assert "relative to the reference date" not in caplog.text
    assert bool(found.dx.isel(time=3).isnull().all())
    groundshift.invert(parts, reference="2020-02-22")
    assert "choose another with reference=" in caplog.text


def test_cells_without_any_measurement_are_nowhere() -> None:
    parts = fields()
    for part in parts:
        part["dx"][5:8, 3] = np.nan
    found = groundshift.invert(parts).compute()
    lost = np.zeros(GRID.shape, bool)
    lost[5:8, 3] = True
    for name in timeseries.MOVING:
        assert np.array_equal(np.isnan(found[name].values[0]), lost)
    assert bool((found.pairs.values[lost] == 0).all())


def test_order_and_direction_of_pairs_do_not_matter() -> None:
    straight = positions(groundshift.invert(fields(), loss="none"))
    turned = fields(tuple((j, i) if (i + j) % 2 else (i, j) for i, j in PAIRS[::-1]), noise=1e-6)
    exact = positions(groundshift.invert(turned, loss="none"))
    assert np.abs(exact - truth()).max() < 1e-4
    assert np.abs(straight - truth()).max() < 10 * NOISE


def test_a_reference_date_of_ones_own() -> None:
    series = groundshift.invert(fields(noise=1e-6), reference="2020-01-29")
    assert np.abs(positions(series) - (truth() - truth()[2])).max() < 1e-4
    assert str(series.reference_time.values)[:10] == "2020-01-29"
    with pytest.raises(GroundshiftError, match=r"no image of 2020-02-10.*2020-01-29"):
        groundshift.invert(fields(), reference="2020-02-10")


def test_stable_ground_ties_every_pair() -> None:
    """Each image is off by its own shift, as by orthorectification."""
    rng = np.random.default_rng(3)
    moved = []
    for (i, j), part in zip(PAIRS, fields(noise=0.01), strict=True):
        shift = [np.random.default_rng(100 + k).normal(0, 5, 2) for k in (i, j)]
        east, north = shift[1] - shift[0]
        moved.append(part.assign(dx=part.dx + np.float32(east), dy=part.dy + np.float32(north)))
    exact = truth()
    still = rng.random(GRID.shape) < 0.3
    for (i, j), part in zip(PAIRS, moved, strict=True):
        change = exact[j] - exact[i]
        part["dx"] = part.dx - change[0] * still
        part["dy"] = part.dy - change[1] * still
    tied = positions(groundshift.invert(moved, stable=still))
    assert np.abs(tied - exact * ~still).max() < 0.1
    loose = positions(groundshift.invert(moved))
    assert np.abs(loose - exact * ~still).max() > 2


def test_stable_ground_tells_how_wrong_images_are() -> None:
    rng = np.random.default_rng(4)
    wrong = [rng.normal(0, size, (2, *GRID.shape)) for size in (0.3, 0.3, 1.5, 0.3, 0.3, 0.3)]
    still = np.arange(GRID.shape[1]) % 2 == 0
    still = np.broadcast_to(still, GRID.shape)
    exact, made = truth() * ~still, []
    for (i, j), part in zip(PAIRS, fields(), strict=True):
        east, north = wrong[j] - wrong[i] - (truth()[j] - truth()[i]) * still
        made.append(part.assign(dx=part.dx + np.float32(east), dy=part.dy + np.float32(north)))
    series = groundshift.invert(made, stable=still)
    assert np.median(series.attrs["image_noise_x"]) == pytest.approx(0.3, rel=0.3)
    assert series.attrs["image_noise_y"][2] == pytest.approx(1.5, rel=0.2)
    error = (positions(series) - exact)[1:][..., ~still]
    sigma = np.stack([series.sigma_dx.values, series.sigma_dy.values], 1)[1:][..., ~still]
    assert np.mean(np.abs(error) <= 1.96 * sigma) == pytest.approx(0.95, abs=0.03)
    # Given, it is that of all images, and 0 takes pairs as independent.
    given = groundshift.invert(made, image_noise=0.4)
    assert set(given.attrs["image_noise_x"]) == {0.4}
    alone = groundshift.invert(made, stable=still, image_noise=0)
    wanted = np.hypot(alone.sigma_dx[1:], 0.4 * np.sqrt(2))
    assert np.allclose(given.sigma_dx[1:], wanted, rtol=0.05)
    for refused in (-1.0, np.nan):
        with pytest.raises(GroundshiftError, match=f"image_noise={refused}.*0 for none"):
            groundshift.invert(made, image_noise=refused)


def test_errors_that_close_are_known_to_sigma() -> None:
    rng = np.random.default_rng(5)
    own = rng.normal(0, 0.3, (len(DAYS), 2, *GRID.shape))
    made = []
    for (i, j), part in zip(PAIRS, fields(noise=0.001), strict=True):
        east, north = own[j] - own[i]
        sigma = np.full(GRID.shape, 0.3 * np.sqrt(2), np.float32)
        made.append(
            part.assign(
                dx=part.dx + np.float32(east),
                dy=part.dy + np.float32(north),
                sigma_dx=part.dx * 0 + sigma,
                sigma_dy=part.dy * 0 + sigma,
            )
        )
    series = groundshift.invert(made).compute()
    assert series.attrs["together"] > 0.9
    sigma = np.stack([series.sigma_dx.values, series.sigma_dy.values], 1)[1:]
    error = np.abs(positions(series) - truth())[1:]
    assert np.mean(error <= sigma) == pytest.approx(0.68, abs=0.05)
    assert np.mean(error <= 1.96 * sigma) == pytest.approx(0.95, abs=0.03)
    assert "err together" in "\n".join(report.series(series))
    assert groundshift.invert(fields()).attrs["together"] == 0


def test_a_mismatch_is_left_out_and_a_gap_is_bridged_by_others() -> None:
    parts = fields()
    parts[3].dx[5, 6] += 40.0
    parts[7].dy[8, 9] = np.nan
    series = groundshift.invert(parts).compute()
    error = np.abs(positions(series) - truth())
    assert error[..., 5, 6].max() < 5 * NOISE
    assert error[..., 8, 9].max() < 5 * NOISE
    assert float(series.pairs[5, 6]) == float(series.pairs[8, 9]) == len(PAIRS) - 1


def test_blocks_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    from groundshift.api import cubes

    parts = fields()
    parts[0].dx[3:6, 4:9] += 7.0
    whole = groundshift.invert(parts).compute()
    monkeypatch.setattr(cubes, "SIDES", (7, 7))
    monkeypatch.setattr(cubes, "PART", 11)
    xr.testing.assert_allclose(groundshift.invert(parts).compute(), whole, rtol=1e-5, atol=1e-6)


def test_pairs_without_any_sigma_tell_it_by_their_residuals(
    caplog: pytest.LogCaptureFixture,
) -> None:
    parts = [part.assign(sigma_dx=np.nan * part.dx, sigma_dy=np.nan * part.dy) for part in fields()]
    series = groundshift.invert(parts).compute()
    assert "no pair knows its sigma" in caplog.text
    known = groundshift.invert(fields()).compute()
    assert float(series.sigma_dx[-1].median()) == pytest.approx(
        float(known.sigma_dx[-1].median()), rel=0.15
    )


def test_dates_that_nothing_links_are_named() -> None:
    apart = fields(((0, 1), (1, 2), (3, 4), (4, 5)))
    with pytest.raises(GroundshiftError, match=r"2 groups.*2020-01-05 to 2020-01-29 \(3 dates\)"):
        groundshift.invert(apart)
    series = groundshift.invert(apart, smoothness=50.0, bridge=True)
    assert bool(np.isfinite(positions(series)).all())


def test_events_may_jump() -> None:
    series = groundshift.invert(fields(), smoothness=1.0, breaks=["2020-02-01"])
    assert "breaks=(0.07" in series.attrs["inversion"]


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_series_and_cubes_come_back_from_disk(tmp_path: Path, suffix: str) -> None:
    cube = timeseries.stack(fields())
    series = groundshift.invert(cube)
    for dataset, name in ((cube, "cube"), (series, "series")):
        path = groundshift.save(dataset, tmp_path / f"{name}{suffix}")
        back = groundshift.open_field(path)
        assert back.odc.geobox == GRID
        for each in dataset.data_vars:
            assert back[each].dims == dataset[each].dims
            np.testing.assert_allclose(back[each].values, dataset[each].values, rtol=1e-6)
        for each in ("time", "reference_time", "secondary_time"):
            if each in dataset.coords:
                assert np.array_equal(back[each].values, dataset[each].values)
    again = groundshift.invert(groundshift.open_field(tmp_path / f"cube{suffix}"))
    np.testing.assert_allclose(again.dx.values, series.dx.values, rtol=1e-5, atol=1e-6)


def test_a_geotiff_holds_no_stack(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\.nc or \.zarr"):
        groundshift.save(timeseries.stack(fields()), tmp_path / "cube.tif")


def test_without_a_crs_metres_are_pixels() -> None:
    plain = GeoBox(GRID.shape, Affine.identity(), None)
    series = groundshift.invert(fields(grid=plain))
    assert series.dx.attrs["units"] == "pixel"


def test_bad_stacks_are_refused() -> None:
    good = fields()
    other = fields(grid=GeoBox(GRID.shape, GRID.affine * Affine.translation(1, 0), GRID.crs))
    with pytest.raises(GridError, match="another grid than the first"):
        timeseries.stack([good[0], other[1]])
    undated = good[0].assign_coords(reference_time=np.datetime64("NaT", "ns"))
    with pytest.raises(GroundshiftError, match="both of its dates"):
        timeseries.stack([undated])
    with pytest.raises(GroundshiftError, match="no fields"):
        timeseries.stack([])
    same = good[0].assign_coords(secondary_time=good[0].reference_time)
    with pytest.raises(GroundshiftError, match="pair 0"):
        groundshift.invert([same])
    with pytest.raises(GroundshiftError, match="not a stack of pairs"):
        groundshift.invert(good[0])
    with pytest.raises(GridError, match="stable mask"):
        groundshift.invert(good, stable=np.ones((3, 3)))
    few = np.zeros(GRID.shape)
    with pytest.raises(GridError, match="marks none of the cells"):
        groundshift.invert(good, stable=few)
    few[0, :5] = 1
    with pytest.raises(GroundshiftError, match="larger mask"):
        groundshift.invert(good, stable=few)
    with pytest.raises(GroundshiftError, match="too small"):
        groundshift.invert(good, memory=1000)


def test_a_mask_is_taken_from_where_it_lies() -> None:
    still = np.zeros(GRID.shape)
    still[:12] = 1
    place = coordinates(GRID)
    labelled = xr.DataArray(still, dims=("y", "x"), coords=place)
    bare = groundshift.invert(fields(), stable=still).compute()
    same = groundshift.invert(fields(), stable=labelled).compute()
    assert np.array_equal(same.dx, bare.dx, equal_nan=True)
    # One that is finer and wider marks the same cells.
    wide = GeoBox((60, 70), Affine(10.0, 0, 499_950, 0, -10.0, 4_000_050), "EPSG:32633")
    finer = xr.DataArray(np.zeros(wide.shape), dims=("y", "x"), coords=coordinates(wide))
    finer = finer.where(finer.y <= 4_000_000 - 12 * 20, 1.0)
    found = groundshift.invert(fields(), stable=finer).compute()
    assert np.array_equal(found.dx, bare.dx, equal_nan=True)
    far = labelled.assign_coords(x=labelled.x + 4e5)
    for verb in (groundshift.invert, groundshift.fit):
        with pytest.raises(GridError, match="marks none of the cells"):
            verb(fields(), stable=far)


def test_what_is_no_date_is_said_to_be_none() -> None:
    for options in ({"reference": "nonsense"}, {"breaks": ["2020-13-01"]}):
        with pytest.raises(GroundshiftError, match="is no date; write it as 2020-02-07"):
            groundshift.invert(fields(), **options)
    with pytest.raises(GroundshiftError, match="is no date"):
        groundshift.fit(fields(), steps=["soon"])
    with pytest.raises(GroundshiftError, match="not between the first and the last image"):
        groundshift.invert(fields(), breaks=["2030-01-01"])
