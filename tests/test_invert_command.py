"""The command ``invert``."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

import groundshift
from groundshift import timeseries
from test_cli import quiet_logger, run
from test_timeseries import GRID, PAIRS, TIMES, fields, positions, truth

__all__ = ["quiet_logger"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pairs")
    return [
        groundshift.save(part, folder / f"{i}-{j}.tif")
        for (i, j), part in zip(PAIRS, fields(), strict=True)
    ]


def test_fields_become_a_history_with_a_picture(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "history.nc"
    assert run("invert", *files[::-1], out, "--reference", "2020-01-17") == 0
    said = capsys.readouterr().out
    assert "6, 2020-01-05 to 2020-04-10, from 15 pairs; 0 at 2020-01-17" in said
    assert "100.0 % of 24 x 30 cells" in said
    assert (tmp_path / "history.nc.png").stat().st_size > 10_000
    series = groundshift.open_field(out)
    assert np.array_equal(series.time.values, TIMES)
    error = positions(series) - (truth() - truth()[1])
    assert np.sqrt(np.mean(error**2)) < 0.05
    assert run("info", out) == 0
    assert "displacement through time" in capsys.readouterr().out


def test_options_reach_the_verb(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from groundshift import api

    asked: dict[str, object] = {}

    def noted(pairs: object, **options: object) -> object:
        asked.update(options)
        return verb(pairs)

    verb = api.invert
    monkeypatch.setattr(api, "invert", noted)
    mask = tmp_path / "mask.tif"
    profile = {"driver": "GTiff", "height": 24, "width": 30, "count": 1, "dtype": "uint8"}
    with rasterio.open(mask, "w", crs=GRID.crs.to_wkt(), transform=GRID.affine, **profile) as file:
        file.write(np.eye(24, 30, dtype="uint8"), 1)
    options = ("--stable", mask, "--loss", "l1", "--smoothness", "3", "--breaks", "2020-02-01")
    more = (
        "--breaks",
        "2020-03-01",
        "--bridge",
        "--memory",
        "2GiB",
        "--no-quicklook",
        "--image-noise",
        "0.2",
        "--max-closure",
        "2.5",
    )
    assert run("invert", *files, tmp_path / "history.zarr", *options, *more) == 0
    ground = np.asarray(asked.pop("stable"))
    assert ground.sum() == 24
    assert asked == {
        "reference": None,
        "image_noise": 0.2,
        "loss": "l1",
        "smoothness": 3.0,
        "breaks": ["2020-02-01", "2020-03-01"],
        "bridge": True,
        "max_closure": 2.5,
        "memory": 2 << 30,
    }


@pytest.mark.parametrize(
    ("out", "words"),
    [("history.tif", "choose a name in .nc or .zarr"), ("history.nc", "no pairs before OUT")],
)
def test_what_cannot_be_done_is_said_before(
    out: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("invert", tmp_path / out) == 2
    assert words in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_an_input_is_never_overwritten(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cube = groundshift.save(timeseries.stack(fields()), tmp_path / "cube.zarr")
    assert run("invert", cube, cube) == 2
    assert "would be lost" in capsys.readouterr().err
    assert run("invert", cube, tmp_path / "history.zarr", "--no-quicklook") == 0
    assert run("info", cube) == 0
    assert "pairs       15" in capsys.readouterr().out
    assert files[0].exists()


def test_dates_that_nothing_links_name_the_options(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apart = [files[PAIRS.index(pair)] for pair in ((0, 1), (2, 3))]
    assert run("invert", *apart, tmp_path / "history.nc") == 2
    said = capsys.readouterr().err
    assert said.rstrip().endswith("with --smoothness and --bridge")


def test_a_run_that_was_stopped_goes_on(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from groundshift.api import cubes, inverting

    monkeypatch.setattr(cubes, "SIDES", (10, 10))
    solved, calls = inverting._solved, []

    def counted(*given: object) -> object:
        calls.append(1)
        if len(calls) == stop:
            raise MemoryError
        return solved(*given)

    monkeypatch.setattr(inverting, "_solved", counted)
    stop, out = 5, tmp_path / "history.zarr"
    assert run("invert", *files, out, "--no-quicklook") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["history.zarr.partial"]
    marks = (tmp_path / "history.zarr.partial" / "marks").read_bytes()
    assert 0 < sum(marks) < 9 == len(marks)
    assert run("invert", *files, out, "--no-quicklook", "--loss", "none") == 2
    stop, calls = 0, []
    assert run("invert", *files, out, "--no-quicklook") == 0
    assert len(calls) == 9 - sum(marks)
    assert [path.name for path in tmp_path.iterdir()] == ["history.zarr"]
    whole = groundshift.invert([groundshift.open_field(file) for file in files]).compute()
    found = groundshift.open_field(out).compute()
    for name in whole.data_vars:
        assert np.array_equal(found[name], whole[name], equal_nan=True)


def test_what_a_killed_run_left_is_gone_after_the_next(files: list[Path], tmp_path: Path) -> None:
    left = tmp_path / ".motion.nc.abcd"
    left.mkdir()
    (left / "lock").touch()
    (left / "scratch").write_bytes(bytes(100))
    groundshift.save(groundshift.open_field(files[0]), tmp_path / "motion.nc")
    assert [path.name for path in tmp_path.iterdir()] == ["motion.nc"]


def test_what_is_left_of_cleaning_up_counts_for_nothing(files: list[Path], tmp_path: Path) -> None:
    """A run that was killed when its result was there, in the middle of deleting the rest."""
    out = tmp_path / "history.zarr"
    assert run("invert", *files, out, "--no-quicklook") == 0
    whole = groundshift.open_field(out).load()
    left = tmp_path / "history.zarr.partial"
    (left / "old").mkdir(parents=True)
    (left / "old" / "zarr.json").touch()
    (left / "marks").write_bytes(b"\x01")
    assert run("invert", *files, out, "--no-quicklook") == 0
    found = groundshift.open_field(out).load()
    assert np.array_equal(found.dx, whole.dx, equal_nan=True)
    assert [path.name for path in tmp_path.iterdir()] == ["history.zarr"]
