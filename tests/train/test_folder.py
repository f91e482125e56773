"""Training on images of which nothing is known: what is cut, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from groundshift.errors import GroundshiftError, ImageError
from groundshift.matchers.prior import as_prior
from groundshift.matchers.whole import match_whole
from groundshift.nets.domain import span_of
from groundshift.nets.refine import guessing, learned
from groundshift.nets.voxelmorph import VoxelMorphConfig
from groundshift.nets.weights import load
from groundshift.synth.motions import Constant
from groundshift.synth.recipe import Recipe
from groundshift.synth.sample import speckle_sample
from groundshift.train import TrainConfig, train
from groundshift.train.folder import Folder
from groundshift.train.pool import search_alone
from groundshift.train.record import CALIBRATED

RECIPE = Recipe(size=64, radar=1.0, plain=1.0, motions=(("constant", 1.0),))
TINY = TrainConfig(
    net=VoxelMorphConfig(0.5, lags=2),
    recipe=RECIPE,
    objective="alike",
    steps=4,
    batch=2,
    pool=4,
    warmup=2,
    save=2,
    samples=2,
    validate=4,
)


def write(path, image):
    path.parent.mkdir(exist_ok=True, parents=True)
    values = image.numpy().astype(np.float32)
    rows, columns = values.shape
    shape = {"height": rows, "width": columns, "count": 1, "dtype": "float32"}
    where = from_origin(0.0, 10.0 * rows, 10.0, 10.0)
    with rasterio.open(
        path, "w", driver="GTiff", nodata=np.nan, crs="EPSG:32631", transform=where, **shape
    ) as file:
        file.write(values, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two places: one of three dates, one of two, of which one has a hole; and a note."""
    root = tmp_path_factory.mktemp("sites")
    for place, count in (("north", 3), ("south", 2)):
        for date in range(count):
            motion = Constant(0.0, 1.3 * date)
            pair = speckle_sample(motion, size=128, coherence=0.9, seed=len(place) + count)
            image = pair.secondary.clone()
            if place == "south" and date:
                image[:100, :30] = torch.nan
            write(root / place / f"{date}.tif", image)
    (root / "north" / "notes.txt").write_text("cloudy")
    return root


def test_crops_are_of_two_images_of_one_place(folder):
    crops = Folder(folder, RECIPE)
    images = {}
    for file in sorted(folder.rglob("*.tif")):
        with rasterio.open(file) as source:
            images[file] = torch.from_numpy(source.read(1))
    seen = set()
    for index in range(80):
        sample = crops.at(index)
        found = []
        for name in ("reference", "secondary"):
            windows = {f: i.unfold(0, 64, 1).unfold(1, 64, 1) for f, i in images.items()}
            pixels = sample[name][60, 60:63]
            for file, every in windows.items():
                at = (every[..., 60, 60:63] == pixels).all(-1).nonzero()
                found += [(file, tuple(each.tolist())) for each in at]
        (one, where), (two, corner) = found
        assert (one.parent, where) == (two.parent, corner)
        assert one != two
        seen.add((one, two))
        assert torch.equal(sample["reference"], images[one][where[0] :, where[1] :][:64, :64]) or (
            torch.isnan(sample["reference"]).any()
        )
        assert float(torch.isnan(sample["secondary"]).float().mean()) <= 0.1
        assert not sample["measurable"].any()
    assert len(seen) == 8  # of either order: three pairs and one
    assert torch.equal(crops.at(3)["reference"], Folder(folder, RECIPE).at(3)["reference"])


def test_what_is_found_stands_for_the_truth(folder):
    sample = Folder(folder, RECIPE).at(1)
    made = search_alone(sample)
    estimate = match_whole(guessing(32), sample["reference"], sample["secondary"])
    known = ~torch.isnan(made["found"])
    expected = as_prior(estimate, guessing(32).stride, 0, (64, 64))
    assert torch.equal(made["found"][known], expected[known])
    assert torch.equal(made["motion"][known], made["found"][known])


def test_it_trains_and_goes_on(folder, tmp_path):
    lines = []
    run = tmp_path / "run"
    train(replace(TINY, steps=2), run, None, Folder(folder, RECIPE), workers=0)
    train(TINY, run, None, Folder(folder, RECIPE), workers=0, report=lambda *a: lines.append(a))
    whole = tmp_path / "whole"
    train(TINY, whole, None, Folder(folder, RECIPE), workers=0)
    one, two = (torch.load(path / "state.pt")["net"] for path in (run, whole))
    assert all(torch.equal(one[name], two[name]) for name in one)
    (kind, line), (second, scores), (last, told) = lines
    assert (kind, second, last) == ("train", "validation", "calibration")
    assert told["samples"] == CALIBRATED * TINY.samples
    assert "pixels" not in line
    assert line["unlike"] > 0
    # Validation is on synthetic samples, whose truth is known.
    assert scores["mae"] > 0
    # What its images are like is known of the folder's.
    count = CALIBRATED * TINY.samples
    crops = Folder(folder, RECIPE).looks(count)
    images = [crop[name] for crop in crops for name in ("reference", "secondary")]
    details = load(str(run)).details
    told = details["span"]
    assert -1 < details["chance"] < 1
    assert {name: tuple(ends) for name, ends in told.items()} == span_of(images)
    sample = speckle_sample(Constant(0.5, 0.0), size=96, coherence=0.9, seed=1)
    assert bool(
        torch.isfinite(match_whole(learned(str(run), 8), sample[0], sample[1]).sigma_dy).any()
    )


def test_another_folder_is_another_run(folder, tmp_path):
    train(replace(TINY, steps=2), tmp_path / "run", None, Folder(folder, RECIPE), workers=0)
    with pytest.raises(GroundshiftError, match="another bank or store"):
        train(TINY, tmp_path / "run", None, Folder(folder / "north", RECIPE), workers=0)


def test_what_cannot_be_trained_on(folder, tmp_path):
    with pytest.raises(ImageError, match="not a folder"):
        Folder(tmp_path / "none", RECIPE)
    with pytest.raises(ImageError, match="into a folder of its own"):
        Folder(tmp_path, RECIPE)
    with pytest.raises(GroundshiftError, match=r"write recipe: \{size: 128\}"):
        Folder(folder, replace(RECIPE, size=256))
    truth = replace(TINY, objective="truth")
    with pytest.raises(GroundshiftError, match="write objective: alike"):
        train(truth, tmp_path / "run", None, Folder(folder, RECIPE), workers=0)
    holes = tmp_path / "holes"
    for name in ("a", "b"):
        write(holes / f"{name}.tif", torch.full((80, 80), torch.nan))
    with pytest.raises(ImageError, match="no data on a tenth"):
        Folder(holes, RECIPE).at(0)
