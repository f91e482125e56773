"""The verb ``stack``: all pairs of many images, measured one after the other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import groundshift
from groundshift import field, timeseries
from groundshift.api import quality, stacking
from groundshift.errors import GridError, GroundshiftError, ImageError, OutputError
from groundshift.interpolate import sample
from groundshift.matchers import NCC
from groundshift.synth import speckle
from test_cli import quiet_logger, write

__all__ = ["quiet_logger"]

DAYS = ("20200107", "20200119", "20200131", "20200212")
SIZE, PIXEL = 96, 10.0
SPEED = 0.6
"""Pixels to the right from each date to the next, in the right half."""
MATCHER = NCC(window=24, search=4, stride=8)


def planes() -> list[np.ndarray]:
    """Speckle whose right half moves."""
    scene = speckle((SIZE + 32, SIZE + 32), 0.4, torch.Generator().manual_seed(3)).abs() + 1
    y, x = torch.meshgrid(*(torch.arange(SIZE, dtype=torch.float32) + 16,) * 2, indexing="ij")
    moving = torch.sigmoid((x - 16 - SIZE / 2) / 2)
    return [sample(scene, y, x - k * SPEED * moving).numpy() for k in range(len(DAYS))]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    return [write(folder / f"S1_{d}.tif", p) for d, p in zip(DAYS, planes(), strict=True)]


def images(files: list[Path]) -> list[xr.DataArray]:
    return [groundshift.open_image(file, radiometry="amplitude") for file in files]


@pytest.fixture(scope="module")
def whole(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    out = tmp_path_factory.mktemp("whole") / "cube.zarr"
    return groundshift.stack(images(files), out, MATCHER).load()


def test_every_pair_is_that_of_track(files: list[Path], whole: xr.Dataset) -> None:
    assert whole.sizes["pair"] == 6
    assert whole.attrs["schema"] == timeseries.CUBE
    opened = images(files)
    for k, (i, j) in enumerate(timeseries.dates_of(whole).network.pairs):
        alone = groundshift.track(opened[i], opened[j], MATCHER).compute()
        for name in field.DISPLACEMENTS:
            assert np.array_equal(whole[name][k], alone[name], equal_nan=True)
            assert whole[name].attrs == alone[name].attrs
        assert whole.odc.geobox == alone.odc.geobox


def test_the_history_follows(whole: xr.Dataset) -> None:
    series = groundshift.invert(whole).compute()
    right = series.dx.isel(x=slice(8, None)).median(("y", "x")).values / PIXEL
    assert right == pytest.approx(SPEED * np.arange(4), abs=0.06)
    left = series.dx.isel(x=slice(None, 4)).median(("y", "x")).values / PIXEL
    assert left == pytest.approx(0, abs=0.06)


def interrupted(monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException) -> list[int]:
    """Stop the measuring at a pair; return what is counted."""
    calls: list[int] = []
    measure = stacking.measure

    def stopping(*given: Any, **options: Any) -> xr.Dataset:
        calls.append(1)
        if len(calls) == at:
            raise error
        return measure(*given, **options)

    monkeypatch.setattr(stacking, "measure", stopping)
    return calls


def test_a_stopped_run_goes_on_where_it_was(
    files: list[Path], whole: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, seen = tmp_path / "cube.zarr", []
    with monkeypatch.context() as patch:
        interrupted(patch, 4, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            groundshift.stack(images(files), out, MATCHER, report=seen.append)
    assert not out.exists()
    assert [each.done for each in seen] == [1, 2, 3]
    calls = interrupted(monkeypatch, 99, KeyboardInterrupt())
    found = groundshift.stack(images(files), out, MATCHER, report=seen.append).load()
    assert len(calls) == 3
    assert [each.done for each in seen] == [1, 2, 3, 4, 5, 6]
    xr.testing.assert_identical(found.drop_attrs(deep=False), whole.drop_attrs(deep=False))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cube.zarr"]


def test_a_pair_that_fails_is_left_out_and_tried_again(
    files: list[Path], whole: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, seen = tmp_path / "cube.zarr", []
    with monkeypatch.context() as patch:
        interrupted(patch, 2, ValueError("a bad day"))
        found = groundshift.stack(images(files), out, MATCHER, report=seen.append)
    assert [each.failed for each in seen] == ["", "ValueError('a bad day')", *[""] * 4]
    assert found.sizes["pair"] == 5
    assert found.attrs["failed"] == 1
    assert "1 pairs failed" in found.attrs["history"]
    again = groundshift.stack(images(files), out, MATCHER).load()
    assert sorted(again.dx.sum(("y", "x")).values) == sorted(whole.dx.sum(("y", "x")).values)


def test_an_image_that_cannot_be_read_costs_its_pairs_only(
    files: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = []
    for file in files:
        names.append(tmp_path / file.name)
        names[-1].write_bytes(file.read_bytes())
    names[1].write_bytes(files[1].read_bytes()[: files[1].stat().st_size // 2])
    found = groundshift.stack(images(names), tmp_path / "cube.zarr", MATCHER)
    assert found.sizes["pair"] == 3
    assert found.attrs["failed"] == 3
    assert "truncated or damaged" in caplog.text
    assert "its pairs will be left out" in caplog.text


def test_nothing_is_left_of_a_stack_without_any_pair(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> xr.Dataset:
        raise ValueError("a bad day")

    monkeypatch.setattr(stacking, "measure", failing)
    with pytest.raises(GroundshiftError, match=r"none of 6 pairs.*a bad day"):
        groundshift.stack(images(files), tmp_path / "cube.zarr", MATCHER)


def test_more_images_are_added_to_what_is_there(
    files: list[Path], whole: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "cube.zarr"
    groundshift.stack(images(files[1:]), out, MATCHER, grid=images(files)[0])
    calls = interrupted(monkeypatch, 99, KeyboardInterrupt())
    found = groundshift.stack(images(files), out, MATCHER).load()
    assert len(calls) == 3
    order = np.lexsort((found.secondary_time, found.reference_time))
    xr.testing.assert_identical(
        found.isel(pair=order).drop_attrs(deep=False), whole.drop_attrs(deep=False)
    )
    groundshift.stack(images(files), out, MATCHER)
    assert len(calls) == 3
    with pytest.raises(OutputError, match=r"3 pair\(s\) that are not asked for"):
        groundshift.stack(images(files[:3]), out, MATCHER)
    with pytest.raises(OutputError, match=r"begun with matcher .* choose another OUT"):
        groundshift.stack(images(files), out, NCC(window=32, search=4, stride=8))
    assert groundshift.open_field(out).sizes["pair"] == 6


def test_what_is_there_and_is_no_stack_stays(files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "cube.zarr"
    out.mkdir()
    (out / "precious").write_text("data")
    with pytest.raises(OutputError, match="is no stack"):
        groundshift.stack(images(files), out, MATCHER)
    assert [path.name for path in tmp_path.rglob("*")] == ["cube.zarr", "precious"]
    with pytest.raises(OutputError, match=r"must end in .zarr"):
        groundshift.stack(images(files), tmp_path / "cube.nc", MATCHER)


def test_two_runs_do_not_meet(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, said = tmp_path / "cube.zarr", []

    def second(_: stacking.Progress) -> None:
        if not said:
            with pytest.raises(OutputError, match="another run is at work") as error:
                groundshift.stack(images(files), out, MATCHER)
            said.append(error)

    groundshift.stack(images(files), out, MATCHER, report=second)
    assert said


def test_an_image_is_made_ready_once(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from groundshift.api import prepared

    made, folders = [], []
    compute = prepared.compute_into

    def noted(path: Path, planes: Any) -> Any:
        made.append(path.name)
        return compute(path, planes)

    def look(_: stacking.Progress) -> None:
        found = (tmp_path / "cube.zarr.partial" / "images").glob("*.raw")
        folders.append(sorted(int(path.stem) for path in found))

    monkeypatch.setattr(prepared, "compute_into", noted)
    groundshift.stack(images(files), tmp_path / "cube.zarr", MATCHER, following=1, report=look)
    assert len(made) == 4
    assert folders == [[1], [2], []]


def test_images_of_other_grids_get_that_of_the_first(
    files: list[Path], tmp_path: Path, whole: xr.Dataset
) -> None:
    opened = images(files)
    opened[1] = opened[1][8:, 16:]
    found = groundshift.stack(opened, tmp_path / "cube.zarr", MATCHER).load()
    assert found.odc.geobox == whole.odc.geobox
    inside = {"y": slice(4, -3), "x": slice(5, -3)}
    xr.testing.assert_allclose(found.dx.isel(inside), whole.dx.isel(inside), atol=1e-3)
    assert not np.isfinite(found.dx[0, :, 0]).any()


def test_quality_of_each_pair(files: list[Path], tmp_path: Path) -> None:
    stable = np.zeros((SIZE, SIZE), bool)
    stable[:, : SIZE // 3] = True
    with pytest.raises(GridError, match="marks none of the cells"):
        groundshift.stack(images(files), tmp_path / "cube.zarr", MATCHER, stable=stable & False)
    assert not list(tmp_path.glob("cube.zarr*"))
    cube = groundshift.stack(images(files), tmp_path / "cube.zarr", MATCHER, stable=stable)
    table = quality(cube)
    assert table.reference.values.tolist()[0] == "S1_20200107.tif"
    assert table.days.values.tolist() == [12, 24, 36, 12, 24, 12]
    assert np.all(table["share"] > 0.6)
    assert np.all(np.abs(table["stable_dx"]) < 0.3)
    assert np.all(table["stable_nmad_dx"] < 0.6)
    assert np.all((table["closure"] > 0.05) & (table["closure"] < 2))


def test_pairs_that_are_asked_for(files: list[Path], tmp_path: Path) -> None:
    def pairs_of(name: str, **options: Any) -> tuple[tuple[int, int], ...]:
        cube = groundshift.stack(images(files), tmp_path / f"{name}.zarr", MATCHER, **options)
        return timeseries.dates_of(cube).network.pairs

    assert pairs_of("a", following=1) == ((0, 1), (1, 2), (2, 3))
    assert pairs_of("b", longest=24) == ((0, 1), (0, 2), (1, 2), (1, 3), (2, 3))
    given = [
        ("2020-01-19", "2020-01-07"),
        ("2020-01-07", "2020-01-31"),
        ("2020-01-19", "2020-02-12"),
    ]
    assert pairs_of("c", pairs=given) == ((0, 1), (0, 2), (1, 3))
    with pytest.raises(GroundshiftError, match=r"no pair links these 2 groups.*add pairs.*bridge="):
        pairs_of("d", pairs=[("2020-01-07", "2020-01-19"), ("2020-01-31", "2020-02-12")])
    with pytest.raises(GroundshiftError, match="no pairs are left"):
        pairs_of("e", following=1, shortest=30)
    with pytest.raises(GroundshiftError, match="no image of 2021-01-01"):
        pairs_of("f", pairs=[("2021-01-01", "2020-01-19")])
    assert not list(tmp_path.glob("[def].zarr*"))


def test_images_without_or_with_the_same_date(files: list[Path], tmp_path: Path) -> None:
    opened = images(files)
    with pytest.raises(ImageError, match="has no date"):
        groundshift.stack([opened[0], opened[1].drop_vars("time")], tmp_path / "cube.zarr")
    with pytest.raises(ImageError, match="are both of 2020-01-07"):
        groundshift.stack([opened[0], opened[0]], tmp_path / "cube.zarr")
