"""Files of other programs, made by hand as their documentation has them."""

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from pyproj import CRS

from groundshift import field, timeseries
from groundshift.errors import GridError, GroundshiftError, ImageError
from groundshift.io import open_field
from groundshift.io.exchange import scaled

PAIR = Path("../shared/data/series/ts_itslive_pair_nc")
FIRST = np.array(["2020-03-01", "2020-01-01", "2020-01-01"], "datetime64[ns]")
DAYS = np.array([50, 73, 146])
SECOND = FIRST + DAYS * np.timedelta64(1, "D")
X = 500_060.0 + 120 * np.arange(4)
Y = 3_999_940.0 - 120 * np.arange(3)
"""Centres; north is up."""
WKT = CRS.from_epsg(32633).to_wkt()


def metres() -> np.ndarray:
    """East and north of each pair at each place: (2, pairs, y, x), multiples of 2 m."""
    rng = np.random.default_rng(1)
    found = 2.0 * rng.integers(-40, 40, (2, 3, 3, 4))
    found[:, 1, 2, 3] = np.nan
    return found


def itslive(path: Path, **changes: Any) -> Path:
    """Write a cube in 16-bit integers, as the archive has it."""
    speed = metres() * (365 / DAYS)[None, :, None, None]
    whole = np.where(np.isfinite(speed), speed.round(), -32767).astype(np.int16)
    units = {"units": "meter/year", "grid_mapping": "mapping"}
    marker = "_FillValue" if path.suffix == ".nc" else "missing_value"
    dims = ("mid_date", "y", "x")
    made = xr.Dataset(
        {
            name: (dims, plane, units, {marker: np.int16(-32767), "dtype": "int16"})
            for name, plane in zip(("vx", "vy"), whole, strict=True)
        }
        | {
            "vx_error": ("mid_date", np.array([7.3, 5.0, 2.5], "f4"), {"units": "meter/year"}),
            "vy_error": ("mid_date", np.array([3.65, 5.0, 2.5], "f4"), {"units": "meter/year"}),
            "acquisition_date_img1": ("mid_date", FIRST),
            "acquisition_date_img2": ("mid_date", SECOND),
            "mapping": ((), 0, {"spatial_epsg": 32633, "spatial_ref": WKT}),
        },
        {"mid_date": FIRST + (SECOND - FIRST) // 2, "y": Y, "x": X},
    ).assign(**changes)
    if path.suffix == ".nc":
        made.to_netcdf(path, engine="h5netcdf")
    else:
        made.to_zarr(path, zarr_format=2, consolidated=True)
    return path


def rounded() -> np.ndarray:
    """What is left of it in whole metres per year."""
    speed = (metres() * (365 / DAYS)[None, :, None, None]).round()
    return speed * (DAYS / 365)[None, :, None, None]


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_cube_of_its_live(tmp_path: Path, suffix: str) -> None:
    cube = timeseries.check_cube(open_field(itslive(tmp_path / f"cube{suffix}")))
    assert cube.attrs["schema"] == timeseries.CUBE
    assert cube.odc.geobox.crs.to_epsg() == 32633
    assert cube.odc.geobox.affine == Affine(120, 0, 500_000, 0, -120, 4_000_000)
    for name, exact in zip(("dx", "dy"), rounded(), strict=True):
        np.testing.assert_allclose(cube[name], exact, rtol=2e-7)
        assert cube[name].dtype == np.float32
        assert cube[name].attrs["units"] == "m"
    assert np.abs(rounded() - metres())[np.isfinite(metres())].max() < 0.5 * 146 / 365
    np.testing.assert_allclose(cube.sigma_dx[0], 7.3 * 50 / 365, rtol=2e-7)
    np.testing.assert_allclose(cube.sigma_dy[:, 1, 1], np.array([3.65, 5, 2.5]) * DAYS / 365, 2e-7)
    assert np.isnan(cube.score).all()
    assert np.array_equal(cube.reference_time, FIRST)
    assert np.array_equal(cube.secondary_time, SECOND)


def test_rows_follow_coordinates_whatever_their_order(tmp_path: Path) -> None:
    straight = open_field(itslive(tmp_path / "down.nc"))
    with xr.open_dataset(tmp_path / "down.nc", engine="h5netcdf") as made:
        turned = made.isel(y=slice(None, None, -1)).transpose("x", "mid_date", "y").load()
    turned.to_netcdf(tmp_path / "up.nc", engine="h5netcdf")
    cube = open_field(tmp_path / "up.nc")
    assert cube.odc.geobox.affine.e == 120
    assert cube.dx.dims == ("pair", "y", "x")
    for y, x in ((Y[0], X[0]), (Y[2], X[1])):
        for name in ("dx", "dy"):
            one, other = (each[name].sel(y=y, x=x).values for each in (straight, cube))
            assert np.array_equal(one, other, equal_nan=True)


def test_nothing_is_read_before_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    read = scaled._Scaled._read
    monkeypatch.setattr(
        scaled._Scaled, "_read", lambda self, key: asked.append(key) or read(self, key)
    )
    cube = open_field(itslive(tmp_path / "cube.zarr"))
    assert asked == []
    assert not any(cube[name].variable._in_memory for name in timeseries.MOVING)
    assert cube.dx.chunks is None
    part = cube.dx.variable[:, 1:, 2]
    assert asked == []
    np.testing.assert_allclose(part.values, rounded()[0, :, 1:, 2], rtol=2e-7)
    assert len(asked) == 1
    assert asked[0][2] == 2
    chosen = cube.dx.variable[np.array([2, 0]), :, np.array([0, 3])]
    np.testing.assert_allclose(chosen.values, rounded()[0][[2, 0]][:, :, [0, 3]], rtol=2e-7)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"acquisition_date_img2": ("mid_date", FIRST)}, r"3 of 3 pairs .* of one date"),
        (
            {"acquisition_date_img1": ("mid_date", np.array(["NaT", *FIRST[1:]], "M8[ns]"))},
            "1 of 3 pairs in cube.nc do not know both",
        ),
        ({"vx": (("mid_date", "y", "x"), np.zeros((3, 3, 4)))}, "none and meter/year"),
        ({"mapping": ((), 0)}, "coordinate reference system; add"),
        ({"acquisition_date_img1": ("mid_date", np.arange(3.0))}, "are no dates"),
        ({"x": X[0] + (X - X[0]) ** 1.1}, "x of cube.nc is not regularly spaced"),
    ],
)
def test_what_a_cube_does_not_say_is_not_guessed(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises((ImageError, GridError), match=words):
        open_field(itslive(tmp_path / "cube.nc", **changes))


@pytest.mark.skipif(not PAIR.is_dir(), reason="the pair of ITS_LIVE is not here")
def test_a_real_pair_of_its_live(tmp_path: Path) -> None:
    """The sample has no valid cell, so some are put in: 30 m/year to the east, 7 to the south."""
    assert not np.isfinite(open_field(next(PAIR.glob("*.nc"))).dx).any()
    path = tmp_path / "pair.nc"
    shutil.copyfile(next(PAIR.glob("*.nc")), path)
    with h5py.File(path, "r+") as file:
        days = file["img_pair_info"].attrs["date_dt"].item()
        file["vx"][100:103, 200], file["vy"][100:103, 200] = 30, -7
        x, y = (file[name][()] for name in "xy")
    found = field.check(open_field(path))
    assert int(np.isfinite(found.dx).sum()) == 3
    cell = found.sel(x=x[200], y=y[101])
    for name, speed in (("dx", 30), ("dy", -7), ("sigma_dx", 189.8), ("sigma_dy", 189.8)):
        assert float(cell[name]) == pytest.approx(speed * days / 365, rel=1e-6)
    assert np.array_equal(found.x, x)
    assert np.array_equal(found.y, y)
    assert found.odc.geobox.crs.to_epsg() == 3031
    assert str(found.reference_time.values) == "1984-12-06T12:52:19.377000000"
    # A tropical year is .066 % longer than one of 365 days.
    yearly = field.velocity(found)["vx"].values
    assert np.nanmax(yearly) == pytest.approx(30 * 365.2422 / 365, rel=1e-6)


def ticoi(path: Path, units: str | None = "m/y", **changes: Any) -> Path:
    """Write a cube with the variables that its loader wants."""
    attrs = {} if units is None else {"units": units}
    speed = metres() * (365 / DAYS)[None, :, None, None]
    dims = ("mid_date", "y", "x")
    xr.Dataset(
        {name: (dims, plane, attrs) for name, plane in zip(("vx", "vy"), speed, strict=True)}
        | {
            "date1": ("mid_date", FIRST),
            "date2": ("mid_date", SECOND),
            "errorx": ("mid_date", np.array([7.3, 5.0, 2.5])),
        },
        {"mid_date": FIRST + (SECOND - FIRST) // 2, "y": Y, "x": X},
        {"proj4": "+proj=utm +zone=33 +datum=WGS84 +units=m +no_defs", "author": "me"},
    ).assign(**changes).to_netcdf(path, engine="h5netcdf")
    return path


def test_a_cube_of_ticoi(tmp_path: Path) -> None:
    cube = open_field(ticoi(tmp_path / "cube.nc"))
    for name, exact in zip(("dx", "dy"), metres(), strict=True):
        np.testing.assert_allclose(cube[name], exact, rtol=2e-7)
    np.testing.assert_allclose(cube.sigma_dx[:, 0, 0], np.array([7.3, 5, 2.5]) * DAYS / 365, 2e-7)
    assert np.isnan(cube.sigma_dy).all()
    assert "UTM zone 33N" in str(cube.odc.geobox.crs.to_wkt())
    daily = open_field(ticoi(tmp_path / "daily.nc", "m/day"))
    np.testing.assert_allclose(daily.dx, 365 * metres()[0], rtol=2e-7)
    with pytest.raises(ImageError, match=r"units of vx and vy .*\(none and none\)"):
        open_field(ticoi(tmp_path / "bare.nc", None))
    back = open_field(
        ticoi(tmp_path / "back.nc", date1=("mid_date", SECOND), date2=("mid_date", FIRST))
    )
    np.testing.assert_allclose(back.dx, -metres()[0], rtol=2e-7)
    assert float(back.sigma_dx.min()) > 0


MAP = {"X_FIRST": "500000", "Y_FIRST": "4000000", "X_STEP": "120", "Y_STEP": "-120"}


def mintpy(path: Path, attrs: dict[str, str], times: float = 1.0) -> Path:
    """Write a stack of offsets; the last of the pairs is dropped."""
    with h5py.File(path, "w") as file:
        east, north = (times * plane for plane in metres())
        file.attrs.update({"FILE_TYPE": "ifgramStack", **attrs})
        file["date"] = np.array(
            [
                [str(day)[:10].replace("-", "") for day in pair]
                for pair in zip(FIRST, SECOND, strict=True)
            ],
            "S8",
        )
        file["dropIfgram"] = np.array([True, True, False])
        file["bperp"] = np.zeros(3, "f4")
        file["rangeOffset"], file["azimuthOffset"] = east.astype("f4"), north.astype("f4")
        file["rangeOffsetStd"] = np.full(east.shape, 0.5, "f4")
    return path


def test_offsets_of_mintpy_on_a_map(tmp_path: Path) -> None:
    about = MAP | {"PROCESSOR": "cosicorr", "EPSG": "32633", "CENTER_LINE_UTC": "18000"}
    cube = open_field(mintpy(tmp_path / "ifgramStack.h5", about))
    for name, exact in zip(("dx", "dy"), metres(), strict=True):
        assert np.array_equal(cube[name], exact[:2], equal_nan=True)
    assert float(cube.sigma_dx.min()) == float(cube.sigma_dx.max()) == 0.5
    assert np.isnan(cube.sigma_dy).all()
    assert np.array_equal(cube.x, X)
    assert np.array_equal(cube.y, Y)
    assert str(cube.reference_time.values[0]) == "2020-03-01T05:00:00.000000000"
    assert not cube.dx.variable._in_memory
    zone = {"PROCESSOR": "cosicorr", "UTM_ZONE": "33S"}
    south = open_field(mintpy(tmp_path / "south.h5", MAP | zone))
    assert south.odc.geobox.crs.to_epsg() == 32733


def test_offsets_of_mintpy_in_radar_coordinates_are_pixels(tmp_path: Path) -> None:
    looks = {"PROCESSOR": "isce", "RLOOKS": "4", "ALOOKS": "2"}
    cube = open_field(mintpy(tmp_path / "radar.h5", looks))
    assert cube.odc.geobox.crs is None
    assert cube.dx.attrs["units"] == "pixel"
    assert np.array_equal(cube.dx, metres()[0, :2] / 4, equal_nan=True)
    assert np.array_equal(cube.dy, metres()[1, :2] / 2, equal_nan=True)
    with pytest.raises(ImageError, match="RLOOKS and ALOOKS"):
        open_field(mintpy(tmp_path / "bare.h5", {"PROCESSOR": "isce"}))
    with pytest.raises(ImageError, match=r"whose axes are others.*PROCESSOR=cosicorr"):
        open_field(mintpy(tmp_path / "isce.h5", looks | MAP | {"EPSG": "32633"}))


def test_histories_of_mintpy(tmp_path: Path) -> None:
    about = MAP | {"PROCESSOR": "cosicorr", "EPSG": "32633", "REF_DATE": "20200113"}
    exact = metres()
    for end, plane in zip(("Rg", "Az"), exact, strict=True):
        with h5py.File(tmp_path / f"timeseries{end}.h5", "w") as file:
            file.attrs.update(about)
            file["date"] = np.array(["20200101", "20200113", "20200201"], "S8")
            file["timeseries"] = plane.astype("f4")
    series = open_field(tmp_path / "timeseriesAz.h5")
    assert series.attrs["schema"] == timeseries.SERIES
    assert np.array_equal(series.dx, exact[0], equal_nan=True)
    assert np.array_equal(series.dy, exact[1], equal_nan=True)
    assert str(series.reference_time.values)[:10] == "2020-01-13"
    assert np.isnan(series.sigma_dx).all()
    (tmp_path / "timeseriesRg.h5").rename(tmp_path / "timeseries.h5")
    for name in ("timeseries.h5", "timeseriesAz.h5"):
        with pytest.raises(ImageError, match="one component"):
            open_field(tmp_path / name)
    with h5py.File(tmp_path / "velocity.h5", "w") as file:
        file["velocity"] = np.zeros((3, 4))
    with pytest.raises(ImageError, match=r"holds velocity.*ifgramStack\.h5"):
        open_field(tmp_path / "velocity.h5")
    (tmp_path / "broken.h5").write_bytes(b"nothing")
    with pytest.raises(ImageError, match="cannot be read"):
        open_field(tmp_path / "broken.h5")


def geotiff(path: Path, names: tuple[str, ...] = (), units: str = "", crs: str = WKT) -> Path:
    """Write three bands: east, north, and a signal-to-noise ratio."""
    east, north = metres()[:, 1]
    profile = {"driver": "GTiff", "height": 3, "width": 4, "count": 3, "dtype": "float32"}
    affine = Affine(120, 0, 500_000, 0, -120, 4_000_000)
    with rasterio.open(path, "w", crs=crs or None, transform=affine, **profile) as file:
        file.write(np.stack([east, north, np.full((3, 4), 9.0)]).astype("f4"))
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
            file.set_band_unit(number, units)
    return path


def test_geotiffs_of_cosicorr(tmp_path: Path) -> None:
    names = ("East/West", "North/South", "SNR")
    found = field.check(open_field(geotiff(tmp_path / "corr_20200101_20200314.tif", names)))
    assert np.array_equal(found.dx, metres()[0, 1], equal_nan=True)
    assert np.array_equal(found.dy, metres()[1, 1], equal_nan=True)
    assert np.isnan(found.score).all()
    assert np.array_equal(found.x, X)
    assert str(found.secondary_time.values)[:10] == "2020-03-14"
    with pytest.raises(ImageError, match="has 1 dates in its name and not two"):
        open_field(geotiff(tmp_path / "corr_20200101.tif", names))
    with pytest.raises(ImageError, match="of one date"):
        open_field(geotiff(tmp_path / "20200101_20200101.tif", names))
    with pytest.raises(ImageError, match="no date; rename"):
        open_field(geotiff(tmp_path / "20201301_20200101.tif", names))
    with pytest.raises(ImageError, match="no coordinate reference system"):
        open_field(geotiff(tmp_path / "20200101_20200102.tif", names, crs=""))


def test_geotiffs_whose_bands_are_named_or_stated(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "2020-01-01_2020-03-14.tif")
    with pytest.raises(GroundshiftError, match=r"no band is known.*bands='dx,dy,-'"):
        open_field(path)
    for bands in ("dx,dy,snr", "dx,dx", "dx,dy,-,-", "dx"):
        with pytest.raises(ImageError, match="bands"):
            open_field(path, bands=bands)
    turned = open_field(path, bands="dy, dx")
    assert np.array_equal(turned.dy, metres()[0, 1], equal_nan=True)
    yearly = open_field(path, bands="vx,vy,sigma_vx")
    np.testing.assert_allclose(yearly.dx, metres()[0, 1] * 73 / 365, rtol=2e-7)
    np.testing.assert_allclose(yearly.sigma_dx, 9 * 73 / 365, rtol=2e-7)
    told = geotiff(tmp_path / "LC08_20200101_X_LC08_20200314.tif", ("vx", "vy", "snr"), "m/yr")
    np.testing.assert_allclose(open_field(told).dx, metres()[0, 1] * 73 / 365, rtol=2e-7)
    for units in ("", "pixel", "m/d"):
        bare = geotiff(tmp_path / "20200101_20200314.tif", ("dx", "dy", "snr"), units)
        with pytest.raises(ImageError, match="units of the band dx are"):
            open_field(bare)


def test_zero_is_a_measurement_in_a_geotiff(tmp_path: Path) -> None:
    profile = {"driver": "GTiff", "height": 20, "width": 20, "count": 2, "dtype": "float32"}
    path = tmp_path / "20200101_20200314.tif"
    with rasterio.open(
        path, "w", crs=WKT, transform=Affine(10, 0, 0, 0, -10, 0), **profile
    ) as file:
        file.write(np.zeros((2, 20, 20), "f4"))
    assert bool((open_field(path, bands="dx,dy").dx == 0).all())


def test_an_unknown_file_is_refused(tmp_path: Path) -> None:
    xr.Dataset({"vx": ("x", [1.0])}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(GroundshiftError, match="not a displacement field"):
        open_field(tmp_path / "other.nc")
