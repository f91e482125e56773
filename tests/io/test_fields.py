import logging
import resource
import shutil
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from compliance_checker.runner import CheckSuite
from odc.geo.geobox import GeoBox
from rio_cogeo import cog_validate

from groundshift import field
from groundshift.errors import GroundshiftError, ImageError, OutputError
from groundshift.io import fields as module
from groundshift.io import open_field, save

SHAPE = (60, 90)
ORIGIN = Affine.translation(500_000, 4_000_000)
GRIDS = {
    "north-up": GeoBox(SHAPE, ORIGIN * Affine.scale(10, -10), "EPSG:32633"),
    "south-up": GeoBox(SHAPE, ORIGIN * Affine.scale(10, 10), "EPSG:32633"),
    "rotated": GeoBox(SHAPE, ORIGIN * Affine.rotation(30) * Affine.scale(10, -10), "EPSG:32633"),
    "geographic": GeoBox(SHAPE, Affine(1e-3, 0, 10, 0, -2e-3, 60), "EPSG:4326"),
    "none": GeoBox(SHAPE, Affine.translation(-0.5, -0.5), None),
}
SUFFIXES = (".tif", ".nc", ".zarr")


def make(grid: str = "north-up", *, times: bool = True, chunks: int = 20) -> xr.Dataset:
    rng = np.random.default_rng(0)
    shape = (SHAPE[0] // 2, SHAPE[1] // 2)
    values = rng.normal(size=(5, *shape)).astype("f4")
    values[:, 3:9, 4:20] = np.nan
    planes = field.Planes(
        *(da.from_array(abs(v) if i > 1 else v, chunks) for i, v in enumerate(values))
    )
    dates = (
        (np.datetime64("2020-02-07T10:20:30"), np.datetime64("2020-02-27"))
        if times
        else (None, None)
    )
    return field.build(
        planes, GRIDS[grid], stride=2, reference_time=dates[0], secondary_time=dates[1],
        matcher="NCC(window=32)", history="opened <a> & b\naligned",
    )  # fmt: skip


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """What a full disk does: writing beyond `size` bytes fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("grid", GRIDS)
def test_what_is_saved_comes_back(tmp_path: Path, grid: str, suffix: str) -> None:
    dataset = field.velocity(make(grid))
    out = save(dataset, tmp_path / f"a{suffix}")
    assert leftovers(tmp_path) == [out.name]
    back = open_field(out)
    assert all(isinstance(v.data, da.Array) for v in back.data_vars.values())
    assert list(back.data_vars) == list(dataset.data_vars)
    for name in dataset.data_vars:
        np.testing.assert_array_equal(back[name], dataset[name], err_msg=str(name))
        assert back[name].attrs == dataset[name].attrs
        assert back[name].dtype == "f4"
    assert back.attrs == dataset.attrs
    for name in dataset.coords:
        np.testing.assert_allclose(
            back[name].values.astype(float), dataset[name].values.astype(float), err_msg=str(name)
        )
    mine, other = field.geobox_of(dataset), field.geobox_of(back)
    np.testing.assert_allclose(mine.affine, other.affine, rtol=1e-12, atol=1e-9)
    assert mine.crs == other.crs
    np.testing.assert_allclose(field.pixels(back).dx, field.pixels(dataset).dx)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_unknown_times(tmp_path: Path, suffix: str) -> None:
    back = open_field(save(make(times=False), tmp_path / f"a{suffix}"))
    assert np.isnat(back.reference_time.values)
    assert np.isnat(back.secondary_time.values)


@pytest.mark.parametrize("grid", GRIDS)
def test_cog(tmp_path: Path, grid: str) -> None:
    out = save(make(grid), tmp_path / "a.tif")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        assert cog_validate(out) == (True, [], [])
        with rasterio.open(out) as dataset:
            unit = "pixel" if grid == "none" else "m"
            assert dataset.descriptions == field.DISPLACEMENTS
            assert dataset.units == (unit,) * 4 + ("1",)
            assert np.isnan(dataset.nodata)
            tags = dataset.tags()
            assert tags["schema"] == field.SCHEMA
            assert tags["reference_time"] == "2020-02-07T10:20:30.000000"
            assert tags["matcher"] == "NCC(window=32)"
            assert tags["history"] == "opened <a> & b\naligned"
            assert tags["software"].startswith("groundshift ")
            assert (dataset.crs is None) == (grid == "none")
            if grid != "none":
                mine = field.geobox_of(make(grid)).affine
                np.testing.assert_allclose(dataset.transform, mine, rtol=1e-12)


def test_cog_has_overviews_and_compression(tmp_path: Path) -> None:
    grid = GeoBox((1500, 1300), ORIGIN * Affine.scale(10, -10), "EPSG:32633")
    planes = field.Planes(*(da.zeros((1500, 1300), dtype="f4", chunks=400) for _ in range(5)))
    out = save(field.build(planes, grid, stride=1), tmp_path / "a.tif")
    with rasterio.open(out) as dataset:
        assert dataset.overviews(1) == [2, 4]
        assert dataset.compression.name == "zstd"
        assert dataset.block_shapes[0] == (512, 512)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "3"
    assert out.stat().st_size < 200_000


@pytest.mark.parametrize("grid", GRIDS)
def test_netcdf_conforms_to_cf(tmp_path: Path, grid: str) -> None:
    """Every error and every warning of the CF suite, in the words of the IOOS checker."""
    out = save(field.velocity(make(grid)), tmp_path / "a.nc")
    CheckSuite.load_all_available_checkers()
    suite = CheckSuite()
    with suite.load_dataset(str(out)) as dataset:
        results, failures = suite.run_all(dataset, ["cf:1.11"])["cf:1.11"]
    assert not failures
    failed = [r for r in results if r.value is False or (r.value and r.value[0] < r.value[1])]
    complaints = [message for result in failed for message in result.msgs]
    if grid == "rotated":
        # CF has no rotated axes; GDAL and odc-geo read the GeoTransform of spatial_ref.
        complaints = [m for m in complaints if "requires exactly one variable with" not in m]
    assert complaints == []


def test_netcdf_tells_xarray_and_gdal_its_grid(tmp_path: Path) -> None:
    out = save(make(), tmp_path / "a.nc")
    with xr.open_dataset(out, engine="h5netcdf", decode_coords="all") as dataset:
        assert dataset.odc.geobox == field.geobox_of(make())
        assert "spatial_ref" in dataset.coords
    with rasterio.open(f'NETCDF:"{out}":dx') as dataset:
        assert dataset.crs.to_epsg() == 32633
        np.testing.assert_allclose(dataset.transform, field.geobox_of(make()).affine)
        np.testing.assert_array_equal(dataset.read(1), make().dx)


def test_zarr_opens_plainly(tmp_path: Path) -> None:
    out = save(make(), tmp_path / "a.zarr")
    with xr.open_zarr(out) as dataset:  # warnings are errors here
        np.testing.assert_array_equal(dataset.dx, make().dx)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_block_is_computed_once(tmp_path: Path, suffix: str) -> None:
    calls: list[int] = []
    lock = threading.Lock()

    def tile(block: np.ndarray) -> np.ndarray:
        with lock:
            calls.append(1)
        return np.stack([block] * 5)

    source = da.ones((30, 45), chunks=15, dtype="f4")
    stacked = source.map_blocks(
        tile, new_axis=0, chunks=((5,), *source.chunks), dtype="f4", meta=np.empty((0, 0, 0), "f4")
    )
    dataset = field.velocity(field.build(
        field.Planes(*stacked), GRIDS["none"], stride=2,
        reference_time=np.datetime64("2020-01-01"), secondary_time=np.datetime64("2021-01-01"),
    ))  # fmt: skip
    save(dataset, tmp_path / f"a{suffix}")
    assert len(calls) == 6


def test_scheduler_and_callbacks_of_the_caller_are_used(tmp_path: Path) -> None:
    from dask.callbacks import Callback

    seen: list[Any] = []
    with dask.config.set(scheduler="synchronous"), Callback(posttask=lambda *a: seen.append(a[0])):
        save(make(), tmp_path / "a.tif")
    assert seen


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_numpy_fields_are_saved_too(tmp_path: Path, suffix: str) -> None:
    out = save(make().compute(), tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(open_field(out).dy, make().dy)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_there_can_be_looked_at_before_it_is_read_again(
    tmp_path: Path, suffix: str
) -> None:
    out, seen = tmp_path / f"out{suffix}", []

    def look(found: xr.Dataset) -> None:
        assert out.exists()
        seen.append(found.isel(y=slice(None, None, 3), x=slice(1, None, 2)).compute())
        turned = found.isel(y=slice(None, None, -1), x=slice(20, 3, -2)).compute()
        plain = found.compute().isel(y=slice(None, None, -1), x=slice(20, 3, -2))
        xr.testing.assert_identical(turned, plain)

    save(make(), out, look=look)
    [found] = seen
    wanted = open_field(out).isel(y=slice(None, None, 3), x=slice(1, None, 2))
    for name in field.DISPLACEMENTS:
        assert np.array_equal(found[name].values, wanted[name].values, equal_nan=True)
    assert leftovers(tmp_path) == [out.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
class TestFailure:
    """The old output stays, nothing else does."""

    @pytest.fixture
    def out(self, tmp_path: Path, suffix: str) -> Path:
        return save(make(), tmp_path / f"a{suffix}")

    def check_old(self, out: Path) -> None:
        assert leftovers(out.parent) == [out.name]
        np.testing.assert_array_equal(open_field(out).dx, make().dx)

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, OSError, RuntimeError])
    def test_in_the_computation(self, out: Path, error: type[BaseException]) -> None:
        def fail(block: np.ndarray) -> np.ndarray:
            raise error

        dataset = make() * 1
        dataset["dx"] = dataset.dx.copy(
            data=dataset.dx.data.map_blocks(fail, dtype="f4", meta=np.empty((0, 0), "f4"))
        )
        with pytest.raises(error):
            save(dataset, out)
        self.check_old(out)

    @pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
    def test_in_the_format(self, out: Path, error: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any) -> None:
            raise error

        monkeypatch.setitem(module.WRITERS, out.suffix, fail)
        expected = OutputError if isinstance(error, OSError) else error
        with pytest.raises(expected, match="No space left" if isinstance(error, OSError) else None):
            save(make(), out)
        self.check_old(out)

    def test_in_the_renaming(self, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        original = Path.replace

        def fail(self: Path, target: Path) -> Path:
            if self.name.startswith("result"):
                raise PermissionError(13, "Permission denied")
            return original(self, target)

        monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises(OutputError, match="Permission denied; free some space or choose"):
            save(make(), out)
        self.check_old(out)

    def test_too_little_space(self, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
        with pytest.raises(OutputError, match=r"\d kB are needed and 1.0 kB are free; free"):
            save(make(), out)
        self.check_old(out)

    def test_overwrite_can_be_refused(self, out: Path) -> None:
        with pytest.raises(OutputError, match="exists already; choose another name"):
            save(make(), out, overwrite=False)
        self.check_old(out)

    def test_disk_full_while_computing(self, out: Path) -> None:
        with largest_file(8_000), pytest.raises(OutputError, match=r"cannot write to .*too large"):
            save(make(), out)
        self.check_old(out)

    def test_disk_full_while_writing(self, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def limited(*arguments: Any) -> None:
            with largest_file(4_000):
                writer(*arguments)

        writer = module.WRITERS[out.suffix]
        monkeypatch.setitem(module.WRITERS, out.suffix, limited)
        with pytest.raises(OutputError, match="cannot write to"):
            save(make(chunks=30), out)
        self.check_old(out)


class TestBadOutput:
    @pytest.mark.parametrize("name", ["a.png", "a", "a.tif.gz"])
    def test_unknown_suffix(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(OutputError, match=r"not known; choose a name that ends in \.tif, "):
            save(make(), tmp_path / name)

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"there is no folder .*no; create it first"):
            save(make(), tmp_path / "no" / "a.tif")

    def test_folder_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "a.tif").mkdir()
        with pytest.raises(OutputError, match="exists and is a folder; choose another name"):
            save(make(), tmp_path / "a.tif")

    def test_unwritable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(**_: Any) -> str:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(tempfile, "mkdtemp", refuse)
        with pytest.raises(OutputError, match=r"cannot write to .*Permission denied"):
            save(make(), tmp_path / "a.tif")

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_units_are_not_known(self, tmp_path: Path, suffix: str) -> None:
        found = make()
        del found.sigma_dy.attrs["units"]
        with pytest.raises(OutputError, match="sigma_dy does not say its units"):
            save(found, tmp_path / f"out{suffix}")
        named = make()
        del named.dx.attrs["long_name"]
        save(named, tmp_path / f"out{suffix}")

    def test_not_a_field(self, tmp_path: Path) -> None:
        with pytest.raises(GroundshiftError, match="not a displacement field"):
            save(make()[["dx"]], tmp_path / "a.tif")
        with pytest.raises(OutputError, match=r"extra has dimensions \('y',\)"):
            save(make().assign(extra=("y", np.zeros(30))), tmp_path / "a.tif")
        assert leftovers(tmp_path) == []


class TestBadField:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="does not exist"):
            open_field(tmp_path / "a.tif")

    @pytest.mark.parametrize("suffix", [".tif", ".nc"])
    def test_text(self, tmp_path: Path, suffix: str) -> None:
        (tmp_path / f"a{suffix}").write_text("hello" * 50)
        with pytest.raises(ImageError, match="not a"):
            open_field(tmp_path / f"a{suffix}")

    def test_empty_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a.zarr").mkdir()
        with pytest.raises(ImageError, match="not a displacement field that can be read"):
            open_field(tmp_path / "a.zarr")

    def test_another_image(self, tmp_path: Path) -> None:
        options = {"crs": "EPSG:32633", "transform": GRIDS["north-up"].affine}
        with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", count=1, width=9, height=9,
                           dtype="uint8", **options) as dataset:  # fmt: skip
            dataset.write(np.ones((1, 9, 9), "u1"))
        with pytest.raises(ImageError, match="not a displacement field that can be read"):
            open_field(tmp_path / "a.tif")


def test_saving_is_said_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        save(make(), tmp_path / "a.tif")
    assert "a.tif" in caplog.text
