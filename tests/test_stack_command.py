"""The command ``stack``."""

import csv
import json
from pathlib import Path

import pytest

import groundshift
from groundshift import timeseries
from test_cli import quiet_logger, run
from test_stacking import DAYS, files

__all__ = ["files", "quiet_logger"]

MATCHER = ("--matcher", "NCC(window=24, search=4, stride=8)", "--radiometry", "amplitude")


def test_images_become_pairs_and_a_table(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pairs.zarr"
    assert run("stack", files[0].parent, out, *MATCHER, "--following", "2") == 0
    said = capsys.readouterr().out
    assert "pair    5 of 5: 2020-01-31 to 2020-02-12, measured 6" in said
    assert "5 of 4 dates, 2020-01-07 to 2020-02-12" in said
    with (tmp_path / "pairs.zarr.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["days"] for row in rows] == ["12", "24", "12", "24", "12"]
    assert rows[0]["reference"] == "S1_20200107.tif"
    assert float(rows[0]["share"]) > 0.6
    assert run("info", out) == 0
    assert "stack of pairs" in capsys.readouterr().out
    assert run("invert", out, tmp_path / "history.nc") == 0
    assert groundshift.open_field(tmp_path / "history.nc").sizes["time"] == 4


def test_lists_of_images_and_of_pairs(files: list[Path], tmp_path: Path) -> None:
    items = [
        {
            "id": day,
            "properties": {"datetime": f"{day[:4]}-{day[4:6]}-{day[6:]}T05:00:00Z"},
            "assets": {"vv": {"href": str(file)}},
        }
        for day, file in zip(DAYS, files, strict=True)
    ]
    (tmp_path / "items.json").write_text(json.dumps({"features": items}))
    (tmp_path / "pairs.txt").write_text("# mine\n2020-01-07 2020-01-19\n2020-01-19,2020-01-31\n")
    words = (tmp_path / "items.json", tmp_path / "pairs.zarr", *MATCHER, "--bridge")
    assert run("stack", *words, "--pairs", tmp_path / "pairs.txt") == 0
    cube = groundshift.open_field(tmp_path / "pairs.zarr")
    assert timeseries.dates_of(cube).network.pairs == ((0, 1), (1, 2))
    assert str(cube.reference_time.values[0]) == "2020-01-07T05:00:00.000000000"


def test_what_cannot_be_done_is_said(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def error(*words: object) -> str:
        assert run("stack", *words) == 2
        return capsys.readouterr().err

    assert "must end in .zarr" in error(*files)
    assert "no images before OUT" in error(tmp_path / "a.zarr")
    assert "does not exist" in error(*files, tmp_path / "no" / "a.zarr")
    assert "--following" in error(*files, tmp_path / "a.zarr", "--shortest", "100")
    (tmp_path / "pairs.txt").write_text("2020-01-07\n")
    words = (*files, tmp_path / "a.zarr", "--pairs", tmp_path / "pairs.txt")
    assert "write two dates a line" in error(*words)
    assert not list(tmp_path.glob("a.zarr*"))
