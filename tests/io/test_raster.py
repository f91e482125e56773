import logging
import pickle
import warnings
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from groundshift.errors import ImageError
from groundshift.io import open_image
from groundshift.io.blocks import Band

RNG = np.random.default_rng(0)
NOISE = RNG.integers(1, 255, (70, 90)).astype("u1")
NORTH_UP = Affine(10, 0, 500_000, 0, -10, 4_000_000)


def write(path: Path, *bands: np.ndarray, dtype: str | None = None, **options: Any) -> Path:
    """Write bands; `options` are those of rasterio, and `finish` gets the open dataset."""
    finish = options.pop("finish", lambda dataset: None)
    kind = dtype or bands[0].dtype.name
    height, width = bands[0].shape
    profile = {"driver": "GTiff", "count": len(bands), "height": height, "width": width}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile | {"dtype": kind} | options) as dataset:
            finish(dataset)
            for index, band in enumerate(bands, 1):
                dataset.write(band, index)
    return path


def map_grid(crs: str = "EPSG:32633", transform: Affine = NORTH_UP) -> dict[str, Any]:
    return {"crs": crs, "transform": transform}


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.bmp", "a.img", "a.bin"])
def test_formats(tmp_path: Path, name: str) -> None:
    drivers = {".tif": "GTiff", ".png": "PNG", ".bmp": "BMP", ".img": "HFA", ".bin": "ENVI"}
    path = write(tmp_path / name, NOISE, driver=drivers[Path(name).suffix])
    image = open_image(path)
    assert image.dims == ("y", "x")
    assert image.dtype == "f4"
    assert image.chunks is not None
    assert image.attrs == {"source": str(path)}
    assert image.odc.geobox.crs is None
    assert image.x.values[:3].tolist() == image.y.values[:3].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(image, NOISE)


def test_map_grid(tmp_path: Path) -> None:
    image = open_image(write(tmp_path / "a.tif", NOISE, **map_grid()))
    assert image.odc.geobox.crs == "EPSG:32633"
    assert image.odc.geobox.affine == NORTH_UP
    assert image.x.values[0] == 500_005
    assert image.y.values[1] == 4_000_000 - 15


def test_rotated_grid(tmp_path: Path) -> None:
    turned = Affine.translation(5e5, 4e6) * Affine.rotation(20) * Affine.scale(10, -10)
    image = open_image(write(tmp_path / "a.tif", NOISE, **map_grid(transform=turned)))
    np.testing.assert_allclose(image.odc.geobox.affine, turned)


def test_vrt(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", NOISE, **map_grid())
    vrt = tmp_path / "a.vrt"
    vrt.write_text(
        '<VRTDataset rasterXSize="90" rasterYSize="70"><VRTRasterBand dataType="Byte" band="1">'
        '<SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    np.testing.assert_array_equal(open_image(vrt), NOISE)


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "complex_int16"])
@pytest.mark.parametrize("driver", ["GTiff", "ENVI", "ISCE"])
def test_complex(tmp_path: Path, dtype: str, driver: str) -> None:
    if dtype == "complex_int16" and driver != "GTiff":
        driver = "GTiff"
    values = (NOISE[:40, :50] + 1j * NOISE[:40, 40:]).astype("c8")
    image = open_image(write(tmp_path / "a.slc", values, dtype=dtype, driver=driver))
    assert image.dtype == "c8"
    np.testing.assert_array_equal(image, values)


def test_complex_zeros_and_nan_are_no_data(tmp_path: Path) -> None:
    values = (NOISE + 1j).astype("c8")
    values[:, :9] = 0
    values[50, 50] = complex(np.nan, 1)
    image = open_image(write(tmp_path / "a.tif", values)).values
    assert np.isnan(image).sum() == 70 * 9 + 1


@pytest.fixture
def netcdf(tmp_path: Path) -> Path:
    path = tmp_path / "a.nc"
    xr.Dataset(
        {"amp": (("time", "y", "x"), NOISE[None].astype("f4")), "other": (("y", "x"), NOISE)},
        coords={
            "y": np.arange(70.0),
            "x": np.arange(90.0),
            "time": [np.datetime64("2020-02-07T10:00", "ns")],
        },
    ).to_netcdf(path, engine="h5netcdf")
    return path


def test_netcdf_variables(netcdf: Path) -> None:
    image = open_image(f'NETCDF:"{netcdf}":amp')
    np.testing.assert_array_equal(image, NOISE)  # rows in the order of the file
    assert image.time.values == np.datetime64("2020-02-07T10:00")
    with pytest.raises(ImageError, match=r"holds 2 images; pass one of .*:amp'.*:other'"):
        open_image(netcdf)


@pytest.mark.parametrize("step", [-10, 10])
def test_netcdf_on_a_map(tmp_path: Path, step: int) -> None:
    grid = Affine(10, 0, 500_000, 0, step, 4_000_000)
    source = open_image(write(tmp_path / "a.tif", NOISE, **map_grid(transform=grid))).compute()
    source.drop_vars("time").to_dataset(name="v").to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    image = open_image(tmp_path / "a.nc").compute()
    assert image.odc.geobox.crs == source.odc.geobox.crs
    # GDAL may turn the rows, and then the coordinates with them.
    xr.testing.assert_equal(
        image.sortby("y").drop_vars("time"), source.sortby("y").drop_vars("time")
    )


def test_band_choice(tmp_path: Path) -> None:
    def name(dataset: rasterio.io.DatasetWriter) -> None:
        dataset.descriptions = ("B02 (blue)", "B03 (green)", "B08 (nir)")

    path = write(tmp_path / "a.tif", NOISE, NOISE + 1, NOISE // 2, finish=name)
    for band, expected in [
        (3, NOISE // 2),
        ("3", NOISE // 2),
        ("B03", NOISE + 1),
        ("NIR", NOISE // 2),
    ]:
        np.testing.assert_array_equal(open_image(path, band=band), expected)
    message = r"3 different bands; pass band=NUMBER of 1 \(B02 \(blue\)\), 2"
    with pytest.raises(ImageError, match=message):
        open_image(path)
    for band in (0, 4, "B12", "B0"):
        with pytest.raises(ImageError, match=r"no .*band.*pass band=NUMBER of 1"):
            open_image(path, band=band)


@pytest.mark.parametrize("driver", ["PNG", "GTiff"])
def test_grey_saved_as_colours_just_works(tmp_path: Path, driver: str) -> None:
    path = write(tmp_path / "rgb", NOISE, NOISE, NOISE, driver=driver)
    np.testing.assert_array_equal(open_image(path), NOISE)


def test_alpha_is_a_mask(tmp_path: Path) -> None:
    alpha = np.full_like(NOISE, 255)
    alpha[:, :7] = 0
    path = write(tmp_path / "rgba.png", NOISE, NOISE, NOISE, alpha, driver="PNG")
    image = open_image(path).values
    assert np.isnan(image[:, :7]).all()
    np.testing.assert_array_equal(image[:, 7:], NOISE[:, 7:])
    two = write(tmp_path / "la.tif", NOISE, alpha, finish=lambda d: setattr(
        d, "colorinterp", (ColorInterp.gray, ColorInterp.alpha)))  # fmt: skip
    np.testing.assert_array_equal(open_image(two).values, image)


def test_jpeg_zero_border_is_cut_generously(tmp_path: Path) -> None:
    image = np.clip(np.cumsum(NOISE % 7, axis=1) + 40, 0, 255).astype("u1")
    image[:, :30] = 0
    path = write(tmp_path / "a.jpg", image, driver="JPEG", quality=80)
    values = open_image(path).values
    assert np.isnan(values[:, :32]).all()
    assert np.isfinite(values[:, 40:]).all()


def test_palettes(tmp_path: Path) -> None:
    grey = {i: (i // 2, i // 2, i // 2, 255) for i in range(256)}
    path = write(tmp_path / "grey.tif", NOISE, finish=lambda d: d.write_colormap(1, grey))
    np.testing.assert_array_equal(open_image(path), NOISE // 2)
    colours = {i: (i, 255 - i, 0, 255) for i in range(256)}
    path = write(tmp_path / "colour.tif", NOISE, finish=lambda d: d.write_colormap(1, colours))
    with pytest.raises(ImageError, match="colour table, not brightness; convert it first"):
        open_image(path)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_nodata_of_every_type(tmp_path: Path, dtype: str) -> None:
    values = NOISE.astype(dtype)
    values[3, 4] = 77
    values[NOISE == 77] = 77
    image = open_image(write(tmp_path / "a.tif", values, nodata=77)).values
    np.testing.assert_array_equal(np.isnan(image), values == 77)
    np.testing.assert_array_equal(image[values != 77], values[values != 77].astype("f4"))


def test_users_nodata_replaces_the_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", NOISE, nodata=77)
    np.testing.assert_array_equal(np.isnan(open_image(path, nodata=5)), NOISE == 5)
    assert np.isfinite(open_image(path, nodata=-9999)).all()


def test_zero_border(tmp_path: Path) -> None:
    image = NOISE.copy()
    image[:, :4] = image[30, 30] = 0
    path = write(tmp_path / "a.tif", image)
    assert np.isnan(open_image(path)).sum() == 70 * 4
    assert np.isnan(open_image(path, nodata=0)).sum() == 70 * 4 + 1
    assert np.isfinite(open_image(path, nodata=np.nan)).all()


@pytest.mark.parametrize("chunk", [1, 7, 13, 64])
def test_blocks_do_not_show(tmp_path: Path, chunk: int) -> None:
    image = NOISE.copy()
    y, x = np.mgrid[:70, :90]
    image[x + y // 3 < 20] = image[40:52, 50:70] = 0
    path = write(tmp_path / "a.tif", image)
    lazy = open_image(path)
    parts = [
        np.concatenate(
            [lazy[i : i + chunk, j : j + chunk].values for j in range(0, 90, chunk)], axis=1
        )
        for i in range(0, 70, chunk)
        if chunk > 1 or i == 25
    ]
    whole = lazy.values if chunk > 1 else lazy.values[25:26]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_what_float32_cannot_hold_is_no_data(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = NOISE.astype("f8")
    values[0, :3] = 1e300, np.inf, -np.inf
    path = write(tmp_path / "a.tif", values)
    image = open_image(path).values
    assert "a.tif: values that float32 cannot hold" in caplog.text
    caplog.clear()
    open_image(path, nodata=1e300).load()
    assert caplog.text == ""
    assert np.isnan(image[0, :3]).all()
    assert np.isfinite(image).sum() == image.size - 3


def test_big_integers_are_rounded_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = NOISE.astype("i8") + 2**60
    with caplog.at_level(logging.WARNING):
        image = open_image(write(tmp_path / "a.tif", values))
    assert "int64: values beyond 16777216 are rounded" in caplog.text
    np.testing.assert_allclose(image, values.astype("f8"), rtol=1e-7)


def test_scale_and_offset(tmp_path: Path) -> None:
    def scale(dataset: rasterio.io.DatasetWriter) -> None:
        dataset.scales, dataset.offsets = (0.5,), (-3.0,)

    image = open_image(write(tmp_path / "a.tif", NOISE, nodata=77, finish=scale)).values
    np.testing.assert_array_equal(image, np.where(NOISE == 77, np.nan, NOISE * 0.5 - 3))


def test_user_mask(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", NOISE)
    mask = write(tmp_path / "mask.tif", (NOISE > 100).astype("u1"))
    np.testing.assert_array_equal(np.isfinite(open_image(path, mask=mask)), NOISE > 100)
    small = write(tmp_path / "small.tif", NOISE[:30])
    with pytest.raises(ImageError, match=r"mask .* has 30 x 90 pixels, the image 70 x 90; bring"):
        open_image(path, mask=small)
    with pytest.raises(ImageError, match=r"nomask\.tif does not exist"):
        open_image(path, mask=tmp_path / "nomask.tif")


def test_external_mask_of_gdal(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", NOISE, finish=lambda d: d.write_mask(NOISE > 100))
    np.testing.assert_array_equal(np.isfinite(open_image(path)), NOISE > 100)


def test_ground_control_points_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    points = [GroundControlPoint(r, c, 10 + c, 50 - r) for r in (0, 9) for c in (0, 9)]
    path = write(tmp_path / "a.tif", NOISE, gcps=points, crs="EPSG:4326")
    with caplog.at_level(logging.WARNING):
        image = open_image(path)
    assert "4 ground control points only" in caplog.text
    assert image.odc.geobox.crs is None


def test_geotransform_without_crs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        image = open_image(write(tmp_path / "a.tif", NOISE, transform=NORTH_UP))
    assert "no coordinate reference system" in caplog.text
    assert image.x.values[0] == 0


def test_time(tmp_path: Path) -> None:
    path = write(tmp_path / "a_20200207.tif", NOISE)
    assert open_image(path).time.values == np.datetime64("2020-02-07")
    assert open_image(path, time="2021-01-01").time.values == np.datetime64("2021-01-01")
    path = write(tmp_path / "a.tif", NOISE)
    assert np.isnat(open_image(path).time.values)
    tagged = write(tmp_path / "b_20200207.tif", NOISE, finish=lambda d: d.update_tags(
        ACQUISITION_DATE="2019-05-06"))  # fmt: skip
    assert open_image(tagged).time.values == np.datetime64("2019-05-06")


def test_radiometry_is_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", NOISE)
    assert open_image(path, radiometry="intensity").attrs["radiometry"] == "intensity"
    with pytest.raises(ImageError, match="choose one of amplitude, intensity, db, complex"):
        open_image(path, radiometry="power")


def test_opening_reads_no_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "huge.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=50_000,
        height=50_000,
        count=1,
        dtype="float32",
        tiled=True,
        sparse_ok=True,
        bigtiff="yes",
        **map_grid(),
    ):
        pass  # fmt: skip
    read: list[tuple[int, ...]] = []
    original = Band.read
    monkeypatch.setattr(Band, "read", lambda self, *w: (read.append(w), original(self, *w))[1])
    image = open_image(path)
    assert not read
    assert image.data.chunksize == (2048, 2048)
    image[30_000:30_010, 40_000:40_020].compute()
    assert read == [(30_000, 30_010, 40_000, 40_020)]


def test_chunks_follow_the_file(tmp_path: Path) -> None:
    shape = (3000, 5000)
    blank = np.ones(shape, "u1")
    tiled = write(tmp_path / "t.tif", blank, tiled=True, blockxsize=512, blockysize=512)
    assert open_image(tiled).data.chunksize == (2048, 2048)
    raw = write(tmp_path / "r.tif", blank, blockysize=1)
    assert open_image(raw).data.chunksize == (2048, 2048)
    packed = write(tmp_path / "p.tif", blank, blockysize=16, compress="deflate")
    rows, columns = open_image(packed).data.chunksize
    assert columns == 5000
    assert rows % 16 == 0


def test_threads_and_pickle(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = rng.random((700, 900)).astype("f4")
    path = write(tmp_path / "a.tif", values, tiled=True, blockxsize=64, blockysize=64)
    lazy = open_image(path).chunk(x=64, y=64)
    with dask.config.set(scheduler="threads", num_workers=8):
        np.testing.assert_array_equal(lazy.values, values)
    band = pickle.loads(pickle.dumps(Band(str(path), 1, (700, 900), np.dtype("f4"))))
    np.testing.assert_array_equal(band[10:20, ::7], values[10:20, ::7])
    np.testing.assert_array_equal(band[5, [3, 1]], values[5, [3, 1]])
    assert band[5:5, 3:9].shape == (0, 6)


def test_names_of_equal_files_change_with_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", NOISE)
    first, again = open_image(path).data.name, open_image(path).data.name
    assert first == again
    write(path, NOISE[:50])
    assert open_image(path).data.name != first


class TestBadInput:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"no\.tif does not exist; check the name"):
            open_image(tmp_path / "no.tif")

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="is a folder; pass the image file in it"):
            open_image(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"hello\n" * 100])
    def test_text(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.tif"
        path.write_bytes(content)
        with pytest.raises(ImageError, match=r"not an image that GDAL opens.*pass a GeoTIFF"):
            open_image(path)

    def test_raw_without_header(self, tmp_path: Path) -> None:
        path = tmp_path / "LT51200382002193BJC00_Nanjing"
        path.write_bytes(NOISE.tobytes())
        with pytest.raises(ImageError, match=r"put an ENVI header beside it, LT5.*Nanjing\.hdr"):
            open_image(path)

    def test_header_instead_of_data(self, tmp_path: Path) -> None:
        write(tmp_path / "scene.bin", NOISE, driver="ENVI")
        with pytest.raises(ImageError, match=r"is a header; pass the data file .*scene\.bin"):
            open_image(tmp_path / "scene.hdr")

    def test_matlab(self, tmp_path: Path) -> None:
        (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
        with pytest.raises(ImageError, match="save its array as GeoTIFF first"):
            open_image(tmp_path / "a.mat")

    @pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1)])
    def test_too_small(self, tmp_path: Path, shape: tuple[int, int]) -> None:
        path = write(tmp_path / "a.tif", np.ones(shape, "u1"))
        with pytest.raises(ImageError, match="pixels: too small to match"):
            open_image(path)

    @pytest.mark.parametrize("options", [{}, {"tiled": True, "compress": "deflate"}])
    def test_truncated(self, tmp_path: Path, options: dict[str, Any]) -> None:
        values = RNG.random((1000, 1000)).astype("f4")
        path = write(tmp_path / "a.tif", values, **options)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        image = open_image(path)
        image[:50, :50].compute()  # still there
        with pytest.raises(ImageError, match=r"a\.tif: rows 0-999.*truncated or damaged: copy or"):
            image.compute()

    def test_truncated_in_the_header(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.tif", NOISE)
        path.write_bytes(path.read_bytes()[:20])
        with pytest.raises(ImageError, match="complete"):
            open_image(path)

    def test_removed_while_open(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.tif", NOISE)
        image = open_image(path)
        path.unlink()
        with pytest.raises(ImageError, match="has been removed or renamed"):
            image.compute()

    def test_no_such_variable(self, netcdf: Path) -> None:
        with pytest.raises(ImageError, match=r"cannot be opened|not an image"):
            open_image(f'NETCDF:"{netcdf}":nothing')
