"""Labels from a tracker: near the truth, only where it is certain, and something to train on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from groundshift.api import tracked as tracked_module
from groundshift.api.labelling import labels
from groundshift.errors import GroundshiftError, OutputError
from groundshift.matchers import NCC, multikernel
from groundshift.synth.motions import Waves
from groundshift.synth.sample import speckle_sample
from groundshift.train import train
from groundshift.train.stored import Stored
from test_cli import run, write
from train.test_training import TINY

SIZE = 64
MATCHER = NCC(window=32, search=6, stride=8)


def image(plane, name):
    rows, columns = plane.shape
    coords = {"y": np.arange(rows), "x": np.arange(columns), "time": np.datetime64("NaT", "ns")}
    return xr.DataArray(plane.numpy(), dims=("y", "x"), coords=coords, attrs={"source": name})


@pytest.fixture(scope="module")
def sample():
    return speckle_sample(Waves((1.5, -1.0), (300.0, 250.0)), size=256, coherence=0.9, seed=4)


@pytest.fixture(scope="module")
def pairs(sample):
    reference = sample.reference.clone()
    reference[:80, :80] = torch.nan
    return [(image(reference, "a"), image(sample.secondary, "b"))]


@pytest.fixture(scope="module")
def store(pairs, tmp_path_factory):
    said = []
    out = tmp_path_factory.mktemp("labels") / "labels.zarr"
    found = labels(pairs, out, MATCHER, size=SIZE, radiometry="amplitude", report=said.append)
    assert [each.samples for each in said] == [len(found)]
    assert 0.6 < said[0].labelled < 0.95
    return found


def test_arrays_are_images_without_georeferencing(store, pairs, tmp_path):
    arrays = [tuple(each.values for each in pair) for pair in pairs]
    found = labels(arrays, tmp_path / "x.zarr", MATCHER, size=SIZE, radiometry="amplitude")
    assert len(found) == len(store)
    assert all(torch.equal(found[k]["motion"], store[k]["motion"]) for k in range(len(store)))


def test_labels_are_near_the_truth(store, sample):
    assert 10 <= len(store) <= 15  # of 16, one without data and some of it beside
    assert store.families == ("tracked",)
    errors, known = [], []
    for k in range(len(store)):
        item = store[k]
        (row, column) = corner(sample.secondary, item["secondary"])
        square = (..., slice(row, row + SIZE), slice(column, column + SIZE))
        truth = torch.stack([sample.dy, sample.dx])[square]
        there = ~torch.isnan(item["reference"])
        assert torch.equal(item["reference"][there], sample.reference[square][there])
        assert float(there.float().mean()) >= 0.9
        errors.append((item["motion"] - truth)[:, item["measurable"]].abs().flatten())
        known.append(float(item["measurable"].float().mean()))
        assert not torch.isnan(item["motion"]).any()
        assert torch.equal(item["valid"], item["measurable"])
        assert torch.isnan(item["coherence"]).all()
        for name, low, high in (("sigma", 0.0, 0.5), ("score", 0.0, 1.0)):
            told = item[name]
            assert torch.equal(torch.isnan(told), ~item["measurable"])
            assert low < float(told.nanmedian()) < high
    assert min(known) >= 0.5
    assert float(torch.cat(errors).mean()) < 0.06


def corner(whole, part):
    for row in range(0, 256, SIZE):
        for column in range(0, 256, SIZE):
            if torch.equal(whole[row : row + SIZE, column : column + SIZE], part):
                return row, column
    raise AssertionError


def test_what_is_there_is_gone_on_with_and_nothing_else(store, pairs):
    before = [store[k]["motion"] for k in range(len(store))]
    mark = store.path / "index" / "c" / "0"
    mark.unlink()
    again = labels(pairs, store.path, MATCHER, size=SIZE, radiometry="amplitude")
    assert all(torch.equal(again[k]["motion"], before[k]) for k in range(len(again)))
    with pytest.raises(OutputError, match=r"was begun with .*choose another OUT$"):
        labels(pairs * 2, store.path, MATCHER, size=SIZE, radiometry="amplitude")
    with pytest.raises(OutputError, match="was begun with"):
        labels(pairs, store.path, MATCHER, size=SIZE, share=0.6, radiometry="amplitude")


def test_a_run_that_was_stopped_tracks_no_pair_twice(pairs, store, tmp_path, monkeypatch):
    out = tmp_path / "x.zarr"
    settings = {"matcher": MATCHER, "size": SIZE, "radiometry": "amplitude"}
    said = []

    def stop(progress):
        said.append(progress)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        labels([*pairs, *pairs], out, report=stop, **settings)
    assert not out.exists()
    with pytest.raises(OutputError, match="was begun with pixels"):
        labels([(one, two + 1) for one, two in 2 * pairs], out, **settings)

    counts = []
    real = tracked_module.tile.map_pair
    monkeypatch.setattr(
        tracked_module.tile, "map_pair", lambda *a, **k: counts.append(1) or real(*a, **k)
    )
    found = labels([*pairs, *pairs], out, **settings)
    assert len(counts) == 1  # of two
    assert len(found) == 2 * len(store)
    for k in range(len(found)):
        assert torch.equal(found[k]["motion"], store[k % len(store)]["motion"])
    assert [path.name for path in tmp_path.iterdir()] == ["x.zarr"]
    assert len(labels([*pairs, *pairs], out, **settings)) == len(found)
    assert len(counts) == 1
    with pytest.raises(OutputError, match="was begun with pixels"):
        labels([(one, two + 1) for one, two in 2 * pairs], out, **settings)
    (tmp_path / "else.zarr").mkdir()
    with pytest.raises(OutputError, match="no store of samples"):
        labels(pairs, tmp_path / "else.zarr", **settings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 50}, "multiple of 16"),
        ({"matcher": NCC(window=32, search=6, stride=6)}, "multiple of the matcher's stride, 6"),
        ({"share": 0.0}, "pass above 0"),
        ({"radiometry": "sound"}, "choose one of amplitude"),
        ({"share": 1.0}, "lower share= or size="),
    ],
)
def test_what_cannot_be_labelled(pairs, tmp_path, options, message):
    with pytest.raises(GroundshiftError, match=message):
        labels(pairs, tmp_path / "x.zarr", **{"matcher": MATCHER, "size": 128, **options})
    assert not (tmp_path / "x.zarr").exists()


def test_no_pairs_and_no_folder(pairs, tmp_path):
    with pytest.raises(GroundshiftError, match="pass at least one"):
        labels([], tmp_path / "x.zarr")
    with pytest.raises(OutputError, match="does not exist"):
        labels(pairs, tmp_path / "none" / "x.zarr")


def test_multikernel_finds_what_is_there(sample):
    from groundshift.matchers.whole import match_whole

    found = match_whole(multikernel(8), sample.reference, sample.secondary)
    truth = torch.nn.functional.avg_pool2d(sample.dy[None], 8)[0]
    known = ~torch.isnan(found.dy)
    assert float(known.float().mean()) > 0.6
    assert float((found.dy - truth)[known].abs().mean()) < 0.08
    with pytest.raises(GroundshiftError, match="use 4, 8 or 16"):
        multikernel(stride=2)


class TestStored:
    def test_a_turn_has_each_once_and_the_next_another_order(self, store):
        stored = Stored(store.path)
        held = {k["reference"].sum().item() for k in stored.held(99)}
        one, two = (
            [stored.at(k)["reference"].nansum().item() for k in range(n, n + stored.kept)]
            for n in (0, stored.kept)
        )
        assert sorted(one) == sorted(two)
        assert one != two
        assert len(set(one)) == stored.kept
        assert not held & set(one)

    def test_several_ranks_share(self, store):
        alone = iter(Stored(store.path))
        two = [iter(Stored(store.path, share=(k, 2))) for k in range(2)]
        for k in range(6):
            assert torch.equal(next(alone)["motion"], next(two[k % 2])["motion"])

    def test_a_net_trains_on_it_and_goes_on(self, store, tmp_path):
        stored = Stored(store.path)
        whole = train(TINY, tmp_path / "whole", stored=stored, workers=0)
        train(TINY, tmp_path / "parts", stored=stored, workers=0, seconds=0)
        part = train(TINY, tmp_path / "parts", stored=Stored(store.path), workers=0)
        for one, two in zip(whole.net.parameters(), part.net.parameters(), strict=True):
            assert torch.equal(one, two)
        assert (tmp_path / "whole" / "weights.safetensors").exists()
        with pytest.raises(OutputError, match="with another bank"):
            train(replace(TINY, steps=9), tmp_path / "whole", workers=0)

    def test_what_does_not_go_together(self, store, tmp_path):
        other = replace(TINY, recipe=replace(TINY.recipe, size=96))
        with pytest.raises(GroundshiftError, match=r"write recipe: \{size: 64\} in the YAML"):
            train(other, tmp_path, stored=Stored(store.path))


def test_the_command_line_does_both(tmp_path, capsys, sample):
    files = [
        write(tmp_path / name, plane.numpy())
        for name, plane in (("20200101.tif", sample.reference), ("20200113.tif", sample.secondary))
    ]
    out = tmp_path / "labels.zarr"
    given = ["--matcher", "NCC(32, 6)", "--size", SIZE, "--radiometry", "amplitude"]
    assert run("labels", *reversed(files), out, *given) == 0
    assert "16 samples" in capsys.readouterr().out
    ignored = np.ones_like(sample.reference.numpy())
    ignored[:SIZE] = 0
    mask = write(tmp_path / "mask.tif", ignored)
    fewer = tmp_path / "fewer.zarr"
    assert run("labels", *reversed(files), fewer, *given, "--mask", mask) == 0
    assert "12 samples" in capsys.readouterr().out
    (tmp_path / "tiny.yaml").write_text(
        "steps: 2\nbatch: 1\nsamples: 1\nrecipe: {size: 64}\n"
        "net: {name: fusion, widths: [4, 4, 4]}\n"
    )
    assert (
        run("train", tmp_path / "tiny.yaml", tmp_path / "run", "--store", out, "--workers", 0) == 0
    )
    assert run("labels", files[0], out) == 2
    assert "make no pair" in capsys.readouterr().err
    assert run("labels", *files) == 2
    assert "the store comes last" in capsys.readouterr().err
