"""Pairs and histories that go out in the formats of other programs, and come back."""

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

import groundshift
from groundshift import stations, timeseries
from groundshift.errors import GridError, GroundshiftError, OutputError
from groundshift.grid import coordinates
from groundshift.io.exchange import formats, mintpy_files, velocities
from groundshift.io.exchange.points import Place
from groundshift.io.instruments import read_stations
from groundshift.timeseries import MOVING
from test_cli import quiet_logger, run
from test_timeseries import DAYS, GRID, PAIRS, TIMES, fields

__all__ = ["quiet_logger"]

SOUTH_UP = GeoBox(GRID.shape, Affine(20.0, 0, 500_000, 0, 20.0, 4_000_000), GRID.crs)
DEGREES = GeoBox(GRID.shape, Affine(1e-3, 0, 15, 0, -1e-3, 36), "EPSG:4326")


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    """Pairs, some of them backward, with a gap."""
    turned = tuple((j, i) if (i + j) % 3 == 0 else (i, j) for i, j in PAIRS)
    made = timeseries.stack(fields(turned)).load()
    made.dx[3, 4, 5] = np.nan
    made.dy[2, 1, 1] = 0
    made["sigma_dx"] = made.sigma_dx * (1 + np.arange(30, dtype="f4") / 30)
    return made


@pytest.fixture(scope="module")
def series() -> xr.Dataset:
    return groundshift.invert(fields(noise=0.03), reference=TIMES[2]).load()


def forward(cube: xr.Dataset) -> xr.Dataset:
    """The same pairs, each from the earlier date to the later."""
    first, second = (cube[name] for name in timeseries.TIMES)
    sign = xr.where(first < second, np.float32(1), np.float32(-1))
    both = np.minimum(first, second), np.maximum(first, second)
    return cube.assign(dx=cube.dx * sign, dy=cube.dy * sign).assign_coords(
        dict(zip(timeseries.TIMES, both, strict=True))
    )


@pytest.mark.parametrize("grid", [GRID, SOUTH_UP, DEGREES], ids=["north", "south", "degrees"])
@pytest.mark.parametrize(
    ("name", "to", "clock"),
    [
        ("cube.zarr", "itslive", "s"),
        ("cube.nc", "itslive", "s"),
        ("cube.zarr", "ticoi", "D"),
        ("cube.nc", "ticoi", "D"),
        ("stack.h5", None, "s"),
        ("copy.zarr", "groundshift", "s"),
    ],
)
def test_pairs_come_back(
    cube: xr.Dataset, tmp_path: Path, grid: GeoBox, name: str, to: str | None, clock: str
) -> None:
    sent = cube.drop_vars("spatial_ref").assign_coords(coordinates(grid))
    assert groundshift.export(sent, tmp_path / name, to=to) == [tmp_path / name]
    assert [path.name for path in tmp_path.iterdir()] == [name]
    found = groundshift.open_field(tmp_path / name)
    same = sent if to == "groundshift" else forward(sent)
    assert found.odc.geobox.crs == grid.crs
    assert np.allclose(found.odc.geobox.affine, grid.affine, rtol=1e-12)
    for each in MOVING:
        np.testing.assert_allclose(found[each], same[each], rtol=3e-7)
    for each in timeseries.TIMES:
        assert np.array_equal(found[each], same[each].values.astype(f"M8[{clock}]"))


def test_velocities_are_of_years_of_365_days(cube: xr.Dataset, tmp_path: Path) -> None:
    for to in ("itslive", "ticoi"):
        groundshift.export(cube, tmp_path / f"{to}.nc", to=to)
    same = forward(cube)
    days = (same.secondary_time - same.reference_time) / np.timedelta64(1, "D")
    with xr.open_dataset(tmp_path / "itslive.nc", engine="h5netcdf") as made:
        np.testing.assert_allclose(made.vx, same.dx * 365 / days, rtol=3e-7)
        np.testing.assert_allclose(made.v, np.hypot(same.dx, same.dy) * 365 / days, rtol=3e-7)
        np.testing.assert_allclose(
            made.vx_error, same.sigma_dx.median(("y", "x")) * 365 / days, rtol=3e-7
        )
        assert np.array_equal(made.date_dt, days)
        assert made.mapping.attrs["GeoTransform"] == "500000 20 0 4000000 0 -20"
        assert made.mapping.attrs["spatial_epsg"] == 32633
        assert made.vx.dims == ("mid_date", "y", "x")
    with xr.open_dataset(tmp_path / "ticoi.nc", engine="h5netcdf") as made:
        np.testing.assert_allclose(made.errory, same.sigma_dy * 365 / days, rtol=3e-7)
        assert "+proj=utm +zone=33" in made.attrs["proj4"]
        assert made.vx.attrs["units"] == "m/y"
        assert bool((made.date1 < made.date2).all())


def test_what_mintpy_reads(cube: xr.Dataset, series: xr.Dataset, tmp_path: Path) -> None:
    groundshift.export(cube, tmp_path / "ifgramStack.h5")
    with h5py.File(tmp_path / "ifgramStack.h5") as file:
        assert file["date"][0].tolist() == [b"20200105", b"20200117"]
        assert file["dropIfgram"][()].all()
        assert file["rangeOffset"].shape == (15, 24, 30)
        assert np.array_equal(file["azimuthOffset"], forward(cube).dy, equal_nan=True)
        known = {name: file.attrs[name] for name in ("PROCESSOR", "X_FIRST", "Y_STEP", "EPSG")}
        assert known == {
            "PROCESSOR": "cosicorr",
            "X_FIRST": "500000",
            "Y_STEP": "-20",
            "EPSG": "32633",
        }
        assert float(file.attrs["CENTER_LINE_UTC"]) == 5 * 3600
    written = groundshift.export(series, tmp_path / "timeseries.h5")
    assert [path.name for path in written] == ["timeseriesRg.h5", "timeseriesAz.h5"]
    found = groundshift.open_field(written[0])
    for name in MOVING:
        assert np.array_equal(found[name], series[name])
    for name in ("time", "reference_time"):
        assert np.array_equal(found[name], series[name])


def test_times_of_day_that_differ_go_to_mintpy_in_minutes(cube: xr.Dataset, tmp_path: Path) -> None:
    hours = np.timedelta64(3, "h") * (cube.secondary_time.dt.day.values > 20)
    later = cube.assign_coords(secondary_time=cube.secondary_time + hours)
    groundshift.export(later, tmp_path / "stack.h5")
    found = groundshift.open_field(tmp_path / "stack.h5")
    for name in timeseries.TIMES:
        assert np.array_equal(found[name], forward(later)[name])


def test_geotiffs_of_pairs_and_of_a_history(
    cube: xr.Dataset, series: xr.Dataset, tmp_path: Path
) -> None:
    groundshift.export(cube, tmp_path / "pairs")
    names = sorted(path.name for path in (tmp_path / "pairs").iterdir())
    assert len(names) == 15
    one = groundshift.open_field(tmp_path / "pairs" / "20200129_20200117.tif")
    for name in (*MOVING, "score"):
        assert np.array_equal(one[name], cube[name][PAIRS.index((1, 2))], equal_nan=True)
    back = [groundshift.open_field(tmp_path / "pairs" / name) for name in names]
    same = forward(timeseries.stack(back)).sortby(["reference_time", "secondary_time"])
    assert np.array_equal(
        same.dx, forward(cube).sortby(["reference_time", "secondary_time"]).dx, equal_nan=True
    )
    groundshift.export(series, tmp_path / "history")
    names = sorted(path.name for path in (tmp_path / "history").iterdir())
    assert names[0] == "20200129_20200105.tif"
    assert len(names) == len(DAYS) - 1
    last = groundshift.open_field(tmp_path / "history" / names[-1])
    assert np.array_equal(last.dx, series.dx[-1])
    assert np.array_equal(last.sigma_dy, series.sigma_dy[-1])
    with pytest.raises(OutputError, match="with files in it; choose a new one"):
        groundshift.export(series, tmp_path / "history")


def test_a_table_of_a_history_agrees_with_it(series: xr.Dataset, tmp_path: Path) -> None:
    """Each point as a station: the map's metres and those on the ground are told apart."""
    places = [Place("A", 500_095, 3_999_905), Place("B", 15.003, 36.1424, lonlat=True)]
    groundshift.export(series, tmp_path / "points.csv", places=places)
    rows = list(csv.DictReader((tmp_path / "points.csv").read_text().splitlines()))
    assert len(rows) == 2 * len(TIMES)
    np.testing.assert_array_equal(np.float32([row["dx"] for row in rows[:6]]), series.dx[:, 4, 4])
    assert (rows[0]["x"], rows[0]["y"], rows[0]["up"]) == ("500090", "3999910", "")
    found = stations.compare(series, read_stations([str(tmp_path / "points.csv")]))
    assert {(one.station, one.component, one.dates) for one in found} == {
        (name, part, len(TIMES)) for name in "AB" for part in ("east", "north")
    }
    assert max(one.rmse for one in found) < 1e-6


def test_a_table_of_pairs(cube: xr.Dataset, tmp_path: Path) -> None:
    groundshift.export(cube, tmp_path / "pairs.csv", places=[Place("A", 500_110, 3_999_910)])
    rows = list(csv.DictReader((tmp_path / "pairs.csv").read_text().splitlines()))
    assert [row["dx"] == "" for row in rows] == [number == 3 for number in range(15)]
    assert rows[1]["secondary_time"] == "2020-01-29T05:00:00.000"
    np.testing.assert_array_equal(np.float32([row["dy"] for row in rows]), cube.dy[:, 4, 5])
    pixels = timeseries.stack(fields(grid=GeoBox(GRID.shape, Affine.identity(), None)))
    groundshift.export(pixels, tmp_path / "pixels.csv", places=[Place("A", 3, 4)])
    assert "east" not in (tmp_path / "pixels.csv").read_text()


def test_what_does_not_fit_is_refused_and_leaves_nothing(
    cube: xr.Dataset, series: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(data: object, name: str, words: str, **options: object) -> None:
        with pytest.raises(GroundshiftError, match=words):
            groundshift.export(data, tmp_path / name, **options)
        assert not list(tmp_path.iterdir())

    refused(cube, "cube.nc", "does not tell the format; choose one of itslive, ticoi")
    refused(cube, "cube.h5", "end in .zarr or .nc", to="itslive")
    refused(cube, "cube.nc", "is no format", to="gis")
    refused(cube, "cube.csv", "there are no points")
    refused(cube, "cube.csv", "A at 1, 2 is off the map", places=[Place("A", 1, 2)])
    refused(series, "cube.nc", "holds pairs and no history", to="ticoi")
    pixels = timeseries.stack(fields(grid=GeoBox(GRID.shape, Affine.identity(), None)))
    for to, name in (("itslive", "a.nc"), ("ticoi", "a.nc"), ("mintpy", "a.h5")):
        refused(pixels, name, "only what is on a map", to=to)
    day = cube.assign_coords(secondary_time=cube.reference_time + np.timedelta64(3, "h"))
    refused(day, "a.nc", "TICOI counts whole days", to="ticoi")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(formats.STACKS, "itslive", full)
    refused(cube, "a.nc", "No space left on device; free some space", to="itslive")


def test_blocks_leave_no_trace(
    cube: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(velocities, "SIDES", (4, 10))
    monkeypatch.setattr(velocities, "CHUNK", 15 * 4 * 25)
    monkeypatch.setattr(mintpy_files, "ROWS", 7)
    own = groundshift.open_field(groundshift.save(cube, tmp_path / "in.zarr"))
    for name, to in (("a.zarr", "itslive"), ("b.nc", "ticoi"), ("c.h5", "mintpy")):
        groundshift.export(own, tmp_path / name, to=to)
        found = groundshift.open_field(tmp_path / name)
        for each in MOVING:
            np.testing.assert_allclose(found[each], forward(cube)[each], rtol=3e-7)


def test_the_command_and_what_follows(
    cube: xr.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = groundshift.save(cube, tmp_path / "pairs.zarr")
    theirs = tmp_path / "itslive.zarr"
    assert run("export", own, theirs, "--to", "itslive") == 0
    assert f"wrote       {theirs}" in capsys.readouterr().out
    assert run("info", theirs) == 0
    assert "stack of pairs" in capsys.readouterr().out
    assert run("invert", theirs, tmp_path / "history.nc", "--no-quicklook") == 0
    assert run("invert", own, tmp_path / "own.nc", "--no-quicklook") == 0
    one, other = (groundshift.open_field(tmp_path / name) for name in ("history.nc", "own.nc"))
    np.testing.assert_allclose(one.dx, other.dx, atol=1e-5)
    assert run("fit", theirs, tmp_path / "fit.tif", "--no-quicklook") == 0
    assert run("clean", theirs, tmp_path / "clean.zarr", "--magnitude", "1000") == 0
    assert run("export", tmp_path / "history.nc", tmp_path / "timeseries.h5") == 0
    assert run("info", tmp_path / "timeseriesRg.h5") == 0
    (tmp_path / "points.csv").write_text("station,x,y\nA,500110,3999910\n")
    words = ("--points", tmp_path / "points.csv", "--at", "500210,3999810")
    out = tmp_path / "table.csv"
    assert run("export", own, out, *words, "--at-lonlat", "15.001,36.1442") == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["station"] for row in rows[::15]] == ["A", "P2", "P3"]


def test_lists_of_geotiffs_are_inverted(
    cube: xr.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", groundshift.save(cube, tmp_path / "in.zarr"), tmp_path / "own") == 0
    names = []
    for path in sorted((tmp_path / "own").iterdir()):
        with rasterio.open(path) as file:
            planes, profile = file.read([1, 2]), file.profile
        names.append(tmp_path / path.name)
        with rasterio.open(names[-1], "w", **(profile | {"count": 2, "driver": "GTiff"})) as file:
            file.write(planes)
    capsys.readouterr()
    assert run("invert", *names, tmp_path / "history.nc") == 2
    assert "--bands dx,dy,-" in capsys.readouterr().err
    options = ("--bands", "dx,dy", "--no-quicklook", "--loss", "none")
    assert run("invert", *names, tmp_path / "history.nc", *options) == 0
    found = groundshift.open_field(tmp_path / "history.nc")
    unweighed = cube.assign(sigma_dx=cube.sigma_dx * np.nan, sigma_dy=cube.sigma_dy * np.nan)
    whole = groundshift.invert(unweighed, loss="none")
    np.testing.assert_allclose(found.dx, whole.dx, atol=1e-5)


def test_what_the_command_refuses(
    cube: xr.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = groundshift.save(cube, tmp_path / "pairs.zarr")

    def error(*words: object) -> str:
        assert run("export", *words) == 2
        return capsys.readouterr().err

    assert "nothing before OUT" in error(own)
    assert "which would be lost" in error(own, own, "--to", "itslive")
    assert "choose one of itslive, ticoi, groundshift with --to" in error(own, tmp_path / "a.nc")
    assert "is no point" in error(own, tmp_path / "a.csv", "--at", "5")
    assert "no points; give some with --at, --at-lonlat" in error(own, tmp_path / "a.csv")
    assert "no table of points" in error(own, tmp_path / "a.csv", "--points", own)
    assert "does not exist; make it" in error(own, tmp_path / "no" / "a.csv", "--at", "1,2")
    history = groundshift.save(groundshift.invert(fields()), tmp_path / "h.nc")
    assert run("export", history, tmp_path / "t.h5") == 0
    assert "which would be lost" in error(tmp_path / "tRg.h5", tmp_path / "t.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "h.nc",
        "pairs.zarr",
        "tAz.h5",
        "tRg.h5",
    ]


def test_a_grid_error_has_a_remedy() -> None:
    with pytest.raises(GridError, match="export it as csv"):
        mintpy_files.write_stack(
            Path("a.h5"),
            timeseries.stack(fields(grid=GeoBox(GRID.shape, Affine.identity(), None))),
        )
