"""Series of displacement beside instruments on the ground."""

import csv
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from pyproj import CRS, Transformer

import groundshift
from groundshift import stations
from groundshift.errors import GridError, GroundshiftError, ImageError
from groundshift.geometry.projection import map_metres
from groundshift.io.instruments import read_stations
from groundshift.io.sights import open_los
from groundshift.stations import Station
from test_cli import quiet_logger, run
from test_timeseries import DAYS, GRID, TIMES, fields, truth

__all__ = ["quiet_logger"]

NOISE = 0.002
KILAUEA = Path("../shared/data/series/ts_kilauea_insar_gnss")
TEXAS = Path("../shared/data/series/ts_dolphin_westtexas")


@pytest.fixture(scope="module")
def series() -> xr.Dataset:
    return groundshift.invert(fields(noise=0.03)).load()


def place(row: int, column: int) -> tuple[float, float]:
    """Longitude and latitude of the centre of a cell."""
    back = Transformer.from_crs(CRS(GRID.crs.to_wkt()), CRS("EPSG:4326"), always_xy=True)
    return back.transform(*(GRID.affine * (column + 0.5, row + 0.5)))


def station(name: str, row: int, column: int, seed: int = 0) -> Station:
    """GNSS of every day at a cell: what the truth is on the ground, and noise."""
    where = place(row, column)
    days = np.arange(-20, 130)
    moved = truth()[:, :, row, column] @ np.linalg.inv(map_metres(GRID.crs.to_wkt(), *where)).T
    since = DAYS / np.timedelta64(1, "D")
    both = [np.interp(days, since, moved[:, k]) for k in (0, 1)]
    values = np.stack([*both, 0 * both[0]], 1) + 100
    values += np.random.default_rng(seed).normal(0, NOISE, values.shape)
    times = TIMES[0].astype("datetime64[D]") + days + np.timedelta64(12, "h")
    return Station(name, *where, times.astype("datetime64[ns]"), values, 0 * values + NOISE)


def test_a_series_agrees_with_gnss_within_its_sigma(series: xr.Dataset) -> None:
    found = stations.compare(series, [station(f"S{k}", 2 * k, 3 * k, k) for k in range(8)])
    assert len(found) == 16
    assert {one.dates for one in found} == {6}
    ratios = np.concatenate([(one.series - one.measured) / one.sigma for one in found])
    # The first date, which is 0 in the series, has no error of its own.
    assert np.mean(np.abs(ratios) <= 1.96) > 0.85
    assert np.median([one.rmse for one in found]) < 0.03
    for one in found:
        assert abs(one.velocity - one.velocity_station) < 5 * one.sigma_velocity + 0.2


def test_only_what_is_on_the_map_and_in_time_is_compared(series: xr.Dataset) -> None:
    far = station("FAR", 2, 2)._replace(latitude=10.0)
    early = station("EARLY", 2, 2)
    early = early._replace(times=early.times - np.timedelta64(900, "D"))
    near = station("NEAR", 3, 3)
    assert {one.station for one in stations.compare(series, [far, early, near])} == {"NEAR"}
    with pytest.raises(GroundshiftError, match=r"none of 2 station"):
        stations.compare(series, [far, early])
    with pytest.raises(GroundshiftError, match=r"'FAR' is not on the map; choose one of NEAR"):
        stations.compare(series, [far, near], relative="FAR")
    gone = near._replace(values=near.values.copy())
    gone.values[19:24] = np.nan  # around the first date
    assert {one.dates for one in stations.compare(series, [gone])} == {5}
    plain = series.drop_vars("spatial_ref").assign_coords(y=np.arange(24), x=np.arange(30))
    with pytest.raises(GridError):
        stations.compare(plain, [near])


def test_what_is_wrong_with_a_date_goes_with_a_reference_station(series: xr.Dataset) -> None:
    spoiled = series.copy(deep=True)
    spoiled["dx"] = series.dx + xr.DataArray(np.array([0, 1, -2, 1, 0.5, -1], "f4"), dims="time")
    points = [station(f"S{k}", 4 * k, 5 * k, k) for k in range(4)]
    alone = stations.compare(spoiled, points)
    tied = stations.compare(spoiled, points, relative="S0")
    assert np.median([one.rmse for one in alone if one.component == "east"]) > 0.5
    assert max(one.rmse for one in tied) < 0.06
    assert "S0" not in {one.station for one in tied}


def test_an_extensometer_along_a_slope(series: xr.Dataset) -> None:
    """It reads more than the map shows, by the cosine of its plunge."""
    one = station("X", 5, 6)
    azimuth, plunge = np.deg2rad(70), np.deg2rad(30)
    flat = (one.values[:, 0] - 100) * np.sin(azimuth) + (one.values[:, 1] - 100) * np.cos(azimuth)
    direction = (
        float(np.sin(azimuth) * np.cos(plunge)),
        float(np.cos(azimuth) * np.cos(plunge)),
        float(-np.sin(plunge)),
    )
    readings = flat / np.cos(plunge)
    along = one._replace(values=readings[:, None] * np.array(direction), direction=direction)
    (found,) = stations.compare(series, [along])
    assert found.component == "along"
    assert found.rmse < 0.05
    assert np.ptp(found.measured) == pytest.approx(np.ptp(found.series), rel=0.2)


def test_the_mean_of_a_circle_of_cells(series: xr.Dataset) -> None:
    point = station("S", 10, 10)
    one = stations.compare(series, [point])[0]
    many = stations.compare(series, [point], radius=40)[0]
    window = series.dx[:, 8:13, 8:13].mean(("y", "x")).values
    assert not np.allclose(one.series, many.series)
    turn = np.linalg.inv(map_metres(GRID.crs.to_wkt(), point.longitude, point.latitude))
    other = series.dy[:, 8:13, 8:13].mean(("y", "x")).values
    east = turn[0, 0] * window + turn[0, 1] * other
    assert np.allclose(many.series, east - east.mean(), atol=1e-5)


TENV3 = """site YYMMMDD yyyy.yyyy __MJD week d reflon _e0(m) __east(m) ____n0(m) _north(m) u0(m) \
____up(m) _ant(m) sig_e(m) sig_n(m) sig_u(m) __corr_en __corr_eu __corr_nu _latitude(deg) \
_longitude(deg) __height(m)
ABCD 20JAN05 2020.0110 58853 2087 0 -155.3 2810 0.999000 2139199 0.500000 996 0.5 0.0 0.001 0.002 \
0.005 0.1 -0.1 -0.1 19.339 204.73 996.5
ABCD 20JAN06 2020.0137 58854 2087 1 -155.3 2811 0.004000 2139199 0.510000 996 0.4 0.0 0.001 0.002 \
0.005 0.1 -0.1 -0.1 19.339 204.73 996.5
"""


def test_files_of_gnss_and_of_instruments(tmp_path: Path) -> None:
    (tmp_path / "ABCD.tenv3").write_text(TENV3)
    (tmp_path / "slide.csv").write_text(
        "station,time,longitude,latitude,displacement,azimuth,sigma\n"
        "low,2020-01-06,10,46,0.02,90,0.001\nlow,2020-01-05,10,46,0.01,90,0.001\n"
        "high,2020-01-05,10.1,46,,180,0.001\n"
    )
    (tmp_path / "notes.txt").write_text("nothing")
    abcd, low, high = read_stations([str(tmp_path)])
    assert abcd.name == "ABCD"
    assert (abcd.longitude, abcd.latitude) == pytest.approx((-155.27, 19.339))
    assert abcd.values[1] == pytest.approx([0.005, 0.010, -0.1])
    assert str(abcd.times[0]) == "2020-01-05T12:00:00.000000000"
    assert abcd.sigma[0].tolist() == [0.001, 0.002, 0.005]
    assert low.values[:, 0] == pytest.approx([0.01, 0.02])
    assert low.direction == pytest.approx((1, 0, 0))
    (tmp_path / "bare.tenv3").write_text("\n".join(TENV3.splitlines()[1:]))
    (bare,) = read_stations([str(tmp_path / "bare.tenv3")])
    assert np.array_equal(bare.times, abcd.times)
    assert np.array_equal(bare.values, abcd.values)
    (tmp_path / "cut.tenv3").write_text(TENV3[:-40])
    with pytest.raises(GroundshiftError, match="download it anew"):
        read_stations([str(tmp_path / "cut.tenv3")])
    assert np.isnan(high.values).all()
    assert high.direction == pytest.approx((0, -1, 0), abs=1e-9)


def test_a_table_may_know_nothing_of_up(tmp_path: Path, series: xr.Dataset) -> None:
    near, lines = station("NEAR", 4, 5), ["station,time,longitude,latitude,east,north"]
    for day, (east, north, _) in zip(near.times, near.values, strict=True):
        lines.append(f"NEAR,{day},{near.longitude},{near.latitude},{east},{north}")
    (tmp_path / "a.csv").write_text("\n".join(lines))
    found = stations.compare(series, read_stations([str(tmp_path / "a.csv")]))
    assert [one.component for one in found] == ["east", "north"]
    assert max(one.rmse for one in found) < 0.1


def test_velocities_are_as_sure_as_errors_that_add_up_let_them_be() -> None:
    """Short pairs alone: errors of the history walk from date to date."""
    ahead = tuple((i, i + 1) for i in range(len(DAYS) - 1))
    series = groundshift.invert(fields(ahead, noise=0.2), loss="none").load()
    points = [station(f"S{r} {c}", r, c, r) for r in range(0, 24, 3) for c in range(0, 30, 3)]
    found = stations.compare(series, points)
    ratio = np.array([(one.velocity - one.velocity_station) / one.sigma_velocity for one in found])
    assert np.mean(np.abs(ratio) <= 0.9945) == pytest.approx(0.68, abs=0.09)
    assert np.mean(np.abs(ratio) <= 1.96) == pytest.approx(0.95, abs=0.05)


def test_what_cannot_be_compared_is_said(
    series: xr.Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(GroundshiftError, match="several stations are called NEAR"):
        stations.compare(series, [station("NEAR", 4, 5), station("NEAR", 6, 5)])
    far = station("FAR", 2, 2)._replace(latitude=10.0)
    stations.compare(series, [far, station("NEAR", 4, 5)])
    assert "not on the map, or with nothing in common: FAR" in caplog.text
    with pytest.raises(GroundshiftError, match="is no series"):
        stations.compare(series.isel(time=0), [station("NEAR", 4, 5)])
    with pytest.raises(GroundshiftError, match="is not among those given"):
        stations.compare(series, [station("NEAR", 4, 5)], relative="FAR")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.tenv3", "site\nABCD 20JAN05\n", "no .tenv3 file"),
        ("a.csv", "time,east\n2020,1\n", "needs the columns station, time"),
        ("a.csv", "station,time,longitude,latitude,east,north,up\nA,x,1,1,1,1,1\n", "no table"),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(GroundshiftError, match=words):
        read_stations([str(tmp_path / name)])
    with pytest.raises(GroundshiftError, match="there are no stations"):
        read_stations([])


def los_files(tmp_path: Path) -> list[str]:
    exact, names = truth(), []
    for k, day in enumerate(TIMES[1:], 1):
        path = tmp_path / f"displacement_20200105_{str(day)[:10].replace('-', '')}.tif"
        profile = {"driver": "GTiff", "height": 24, "width": 30, "count": 1, "dtype": "float32"}
        with rasterio.open(
            path, "w", crs=GRID.crs.to_wkt(), transform=GRID.affine, **profile
        ) as file:
            file.write((0.6 * exact[k, 0] - 0.1 * exact[k, 1]).astype("float32"), 1)
        names.append(str(path))
    return names


def test_displacement_along_a_line_of_sight(tmp_path: Path) -> None:
    seen = open_los(los_files(tmp_path)[::-1], "0.6,-0.1,0.7937")
    assert [str(day)[:10] for day in seen.time.values] == [str(day)[:10] for day in TIMES]
    found = stations.compare(seen, [station(f"S{k}", 3 * k, 4 * k, k) for k in range(5)])
    assert {one.component for one in found} == {"los"}
    assert all(np.isnan([one.within_68, one.within_95]).all() for one in found)
    assert max(one.rmse for one in found) < 0.05
    with pytest.raises(ImageError, match="has the length"):
        open_los(los_files(tmp_path), "1,1,1")
    with pytest.raises(ImageError, match="no two dates"):
        open_los([str(tmp_path / "x.tif")], "0,0,1")


def test_the_command_writes_a_table_and_a_picture(
    series: xr.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    groundshift.save(series, tmp_path / "history.nc")
    one = station("S", 4, 5)
    with (tmp_path / "gnss.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["station", "time", "longitude", "latitude", "east", "north", "up"])
        for day, values in zip(one.times, one.values, strict=True):
            writer.writerow(["S", day, one.longitude, one.latitude, *values])
    out = tmp_path / "agreement.csv"
    words = ("compare", tmp_path / "history.nc", tmp_path / "gnss.csv")
    assert run(*words, "--out", out) == 0
    assert "S           east           6" in capsys.readouterr().out
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["component"] for row in rows] == ["east", "north"]
    assert out.with_suffix(".png").stat().st_size > 5000
    out.with_suffix(".png").write_bytes(b"mine")
    assert run(*words, "--out", out) == 2
    assert "is no quicklook" in capsys.readouterr().err
    assert run("compare", tmp_path / "history.nc") == 2
    assert run("compare", *los_files(tmp_path), tmp_path / "gnss.csv") == 2
    assert "--sight" in capsys.readouterr().err
    assert (
        run("compare", *los_files(tmp_path), tmp_path / "gnss.csv", "--sight", "0.6,-0.1,0.79") == 0
    )


@pytest.mark.skipif(not KILAUEA.is_dir(), reason="the series of Kilauea is not here")
def test_insar_of_kilauea_beside_its_gnss(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(KILAUEA / "unr.zip") as file:
        file.extractall(tmp_path)
    names = [str(path) for path in sorted(tmp_path.rglob("*.tenv3"))]
    maps = [str(path) for path in sorted(KILAUEA.glob("displacement_*.tif"))]
    seen = open_los(maps, str(KILAUEA / "hawaii_los_enu.tif"))
    found = stations.compare(seen, read_stations(names), radius=60, relative="CNPK")
    assert len(found) >= 5
    assert np.median([one.rmse for one in found]) < 0.02


@pytest.mark.skipif(not TEXAS.is_dir(), reason="the series of West Texas is not here")
def test_series_of_dolphin_are_read() -> None:
    maps = [str(path) for path in sorted(TEXAS.glob("displacement_*.tif"))]
    seen = open_los(maps, "0.6,-0.1,0.79")
    assert seen.los.shape == (9, 362, 357)
    assert str(seen.time.values[0])[:10] == "2016-07-08"
    assert float(np.abs(seen.los[0]).max()) == 0
    with rasterio.open(maps[-1]) as file:
        wanted = file.read(1, masked=True)
    assert np.allclose(seen.los[-1].values[~wanted.mask], wanted.compressed())
    assert "source" not in seen.los.attrs
