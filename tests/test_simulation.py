"""Stores of samples: the same bytes whoever writes them, and never half a shard."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import dask
import numpy as np
import pytest
import torch
import xarray as xr

import groundshift
from groundshift.api import simulation
from groundshift.errors import GroundshiftError, ImageError, OutputError
from groundshift.gallery import varied
from groundshift.io.samples import Samples
from groundshift.settings import RECIPES
from groundshift.synth.bank import Scale, Stack, save
from groundshift.synth.recipe import Recipe
from groundshift.synth.stream import Stream
from test_cli import quiet_logger, run  # noqa: F401 - a fixture

RECIPE = Recipe(size=32, motions=(("zero", 1.0), ("constant", 1.0), ("bowl", 1.0)), radar=0.6)
COUNT, SHARD = 7, 2
YAML = "size: 32\nmotions: {zero: 1, constant: 1, bowl: 1}\nradar: 0.6\n"


def contents(path: Path) -> dict[str, bytes]:
    files = (file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "a.zarr"
    groundshift.simulate(RECIPE, path, COUNT, shard=SHARD, workers=1)
    return path


def test_a_store_holds_what_the_stream_draws(store) -> None:
    samples = Samples(store)
    assert len(samples) == COUNT
    for stored, drawn in zip(samples, Stream(RECIPE, stop=COUNT), strict=False):
        assert stored.keys() == drawn.keys()
        for name, value in stored.items():
            assert value.dtype == drawn[name].dtype
            torch.testing.assert_close(value, drawn[name], rtol=0, atol=0, equal_nan=True)


def test_processes_write_the_same_bytes(store, tmp_path) -> None:
    simulation.simulate(RECIPE, tmp_path / "b.zarr", COUNT, shard=SHARD, workers=2)
    assert contents(tmp_path / "b.zarr") == contents(store)


def test_threads_of_any_scheduler_and_any_order_write_the_same_bytes(store, tmp_path) -> None:
    out = tmp_path / "b.zarr"
    simulation.simulate(RECIPE, out, COUNT, shard=SHARD, workers=1)
    for shard in ("0", "2"):  # of which one has lost its mark
        (out / "index" / "c" / shard).unlink()
    with dask.config.set(scheduler="threads", num_workers=2):
        simulation.simulate(RECIPE, out, COUNT, shard=SHARD)
    assert contents(out) == contents(store)


def test_a_start_is_a_shift(store, tmp_path) -> None:
    late = simulation.simulate(RECIPE, tmp_path / "b.zarr", 2, start=4, workers=1)
    assert late.table("index").tolist() == [4, 5]
    assert torch.equal(late[0]["secondary"], Samples(store)[4]["secondary"])


def test_killed_at_any_moment_and_repeated(store, tmp_path) -> None:
    recipe, out = tmp_path / "r.yaml", tmp_path / "b.zarr"
    recipe.write_text(YAML)
    options = ("-n", str(COUNT), "--shard", str(SHARD), "--no-gallery")
    code = (
        "import sys, time; from groundshift import cli; from groundshift.io import samples as s\n"
        "write = s.write\n"
        "def slow(*given): time.sleep(0.3); write(*given)\n"
        "s.write = slow\n"
        "cli.main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", code, "simulate", recipe, out, *options, "--workers", "1"]
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.DEVNULL, start_new_session=True
    )
    marks, end = out / "index" / "c", time.monotonic() + 60
    while not list(marks.glob("[0-9]")) and time.monotonic() < end:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)  # its worker too, which would go on for a moment
    process.wait()
    time.sleep(0.2)
    there = {mark: mark.stat().st_mtime_ns for mark in marks.glob("[0-9]")}
    assert 0 < len(there) < 4
    assert 0 < len(Samples(out)) < COUNT
    # What a writer leaves that is killed while it writes.
    missing = next(k for k in range(4) if not (marks / str(k)).exists())
    torn = out / "dy" / "c" / str(missing) / "0"
    torn.mkdir(parents=True, exist_ok=True)
    (torn / "0").write_bytes(b"half")
    assert run("simulate", recipe, out, *options, "--workers", 1) == 0
    assert {mark: mark.stat().st_mtime_ns for mark in there} == there
    assert {k: v for k, v in contents(out).items() if "partial" not in k} == contents(store)


def test_nothing_to_do_the_second_time(store, capsys) -> None:
    before = {p: p.stat().st_mtime_ns for p in store.rglob("*") if p.is_file()}
    simulation.simulate(RECIPE, store, COUNT, shard=SHARD, workers=1)
    assert {p: p.stat().st_mtime_ns for p in store.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    ("changes", "count", "message"),
    [
        ({"seed": 1}, COUNT, "recipe.seed 0 and not 1"),
        ({"size": 48}, COUNT, "recipe.size 32 and not 48"),
        ({}, COUNT + 1, "samples 7 and not 8"),
    ],
)
def test_another_recipe_is_refused(store, changes, count, message) -> None:
    before = contents(store)
    with pytest.raises(OutputError, match=message):
        simulation.simulate(replace(RECIPE, **changes), store, count, shard=SHARD, workers=1)
    assert contents(store) == before


def test_something_else_is_refused(tmp_path) -> None:
    (tmp_path / "b.zarr").mkdir()
    with pytest.raises(OutputError, match="is no store of samples"):
        simulation.simulate(RECIPE, tmp_path / "b.zarr", 1)
    with pytest.raises(ImageError, match="write one with groundshift simulate"):
        Samples(tmp_path / "b.zarr")
    with pytest.raises(OutputError, match="does not exist"):
        simulation.simulate(RECIPE, tmp_path / "none" / "b.zarr", 1)
    with pytest.raises(GroundshiftError, match="samples=1 or more"):
        simulation.simulate(RECIPE, tmp_path / "c.zarr", 0)


def test_xarray_opens_it(store) -> None:
    with xr.open_zarr(store) as opened:
        assert opened["dy"].dims == ("sample", "y", "x")
        assert opened["dy"].dtype == np.float32
        assert opened["index"].values.tolist() == list(range(COUNT))
        meanings = opened["family"].attrs["flag_meanings"].split()
        assert meanings[opened["family"].values[0]] in dict(RECIPE.motions)
        dx = opened["dx"].values[3]
    np.testing.assert_array_equal(dx, Samples(store)[3]["motion"][1].numpy())


def test_provenance_makes_a_sample_again(tmp_path) -> None:
    y, x = np.mgrid[:200, :200]
    levels = torch.from_numpy((1 + (y * 7 + x * x) % 250).astype(np.uint8))[None]
    stack = Stack("a", "a", "optical", "train", "made up", "CC0", "none", ("0",),
                  (Scale("linear", 0.0, 1.0),), levels)  # fmt: skip
    save(tmp_path / "bank.npz", [stack])
    recipe = replace(RECIPE, radar=0.0, real=1.0)
    found = simulation.simulate(
        recipe, tmp_path / "b.zarr", 2, bank=tmp_path / "bank.npz", workers=1
    )
    facts = found.attributes
    assert RECIPES.from_values(facts["recipe"]) == recipe
    assert facts["licences"] == [
        {"licence": "CC0", "sensor": "none", "source": "made up", "textures": ["a"]}
    ]
    assert len(facts["bank"]["sha256"]) == 64
    assert facts["software"]["torch"] == torch.__version__
    with pytest.raises(OutputError, match="begun with bank"):
        simulation.simulate(recipe, tmp_path / "b.zarr", 2, workers=1)


def test_readers_in_workers(store) -> None:
    loader = torch.utils.data.DataLoader(Samples(store), batch_size=3, num_workers=2)
    assert [batch["index"].tolist() for batch in loader] == [[0, 1, 2], [3, 4, 5], [6]]


def test_the_command(tmp_path, capsys) -> None:
    recipe, out = tmp_path / "r.yaml", tmp_path / "b.zarr"
    recipe.write_text(YAML)
    options = ("-n", 3, "--seed", 2, "--shard", 1, "--workers", 1)
    assert run("simulate", recipe, out, *options) == 0
    said = capsys.readouterr().out
    assert "samples     3 of 32 x 32" in said
    assert "rendered    3" in said
    assert (tmp_path / "b.zarr.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "zarr.json").read_text())["attributes"]["recipe"]["seed"] == 2
    assert run("simulate", "--template") == 0
    assert RECIPES.parse(capsys.readouterr().out) == Recipe()
    assert run("simulate", recipe, tmp_path / "b.tif", "-n", 1) == 2


def test_a_gallery_shows_what_there_is() -> None:
    family, sensor = [0, 0, 1, 0, 1, 2], [0, 0, 0, 1, 0, 1]
    assert varied(family, sensor, 4) == [0, 2, 3, 5]
    assert varied(family, sensor, 9) == [0, 1, 2, 3, 4, 5]
