"""The verb and the command ``clean``."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

import groundshift
from groundshift import api, timeseries
from groundshift.errors import GroundshiftError
from test_cli import quiet_logger, run
from test_timeseries import GRID, fields

__all__ = ["quiet_logger"]


@pytest.fixture
def field(tmp_path: Path) -> Path:
    one = fields()[4].load()
    one.dx[5, 6] += 90.0
    one["dy"] = one.dy + 3.0
    return groundshift.save(one, tmp_path / "motion.tif")


def mask(tmp_path: Path) -> Path:
    path = tmp_path / "rock.tif"
    profile = {"driver": "GTiff", "height": 24, "width": 30, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", crs=GRID.crs.to_wkt(), transform=GRID.affine, **profile) as file:
        file.write(np.ones((24, 30), "uint8"), 1)
    return path


def test_a_field_is_cleaned_as_asked(field: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.tif"
    words = ("--magnitude", "40", "--tie", "median", "--stable", mask(tmp_path), "--fill", "3")
    assert run("clean", field, out, *words) == 0
    before, after = groundshift.open_field(field).load(), groundshift.open_field(out).load()
    assert float(after.filled.sum()) == float(after.filled[5, 6]) == 1
    assert abs(float(after.dy.median())) < 0.01
    assert abs(float(before.dy.median())) > 2
    assert np.isnan(after.score[5, 6])
    assert (tmp_path / "clean.png").exists()
    assert run("info", out) == 0


def test_nothing_is_done_unasked(
    field: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("clean", field, tmp_path / "clean.tif") == 2
    assert "nothing is asked for" in capsys.readouterr().err
    assert run("clean", field, field, "--median", "2") == 2
    assert "would be lost" in capsys.readouterr().err


def test_a_stack_is_cleaned_pair_by_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cube = timeseries.stack(fields()).load()
    cube.dx[2, 3, 4] = 99.0
    groundshift.save(cube, tmp_path / "pairs.zarr")
    out = tmp_path / "clean.zarr"
    calls: list[int] = []
    one = api.cleaning.clean

    def counted(*given: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return one(*given, **options)

    monkeypatch.setattr(api.cleaning, "clean", counted)
    opened = groundshift.open_field(tmp_path / "pairs.zarr")
    how = api.Cleaning(magnitude=60.0)
    with pytest.raises(KeyboardInterrupt):
        api.clean_stack(opened, out, how)
    found = api.clean_stack(opened, out, how).load()
    assert len(calls) == 5 + 11
    assert np.isnan(found.dx[2, 3, 4])
    assert int(np.isfinite(found.dx).sum()) == found.dx.size - 1
    assert np.array_equal(found.secondary_time, cube.secondary_time)
    assert np.array_equal(np.nan_to_num(found.dy), np.where(np.isnan(found.dx), 0, cube.dy))
    assert api.quality(found).share.values[2] < 1
    series = groundshift.invert(found).compute()
    assert float(series.pairs[3, 4]) == 14
    with pytest.raises(GroundshiftError, match="gaps of stacks are not filled"):
        api.clean_stack(opened, tmp_path / "b.zarr", api.Cleaning(fill=3))


def test_the_command_cleans_stacks_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    groundshift.save(timeseries.stack(fields()), tmp_path / "pairs.zarr")
    words = ("clean", tmp_path / "pairs.zarr", tmp_path / "clean.zarr", "--sigma", "0.06")
    assert run(*words) == 0
    assert "15 of 6 dates" in capsys.readouterr().out
    assert run("clean", tmp_path / "pairs.zarr", tmp_path / "clean.nc", "--sigma", "1") == 2
    assert "cleaned into .zarr" in capsys.readouterr().err
