"""Crops of complex images: how they are detected, shifted and labelled."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from test_coherent import TINY

from groundshift.errors import ImageError
from groundshift.synth.motions import Constant
from groundshift.synth.radar import Radar, Surface, acquire_looks
from groundshift.synth.recipe import Recipe
from groundshift.train import train
from groundshift.train.coregistered import EDGE, Coregistered, detected, enlarged

SIZE = 96


def complex_pair(coherence, seed, size=SIZE):
    radar = Radar(0.7, fine=2)
    one = torch.tensor(1.0)
    surface = Surface(one * coherence, one, one, one * 0j)
    looks = acquire_looks(radar, surface, Constant(), size, torch.Generator().manual_seed(seed))
    return [image[0, ::2, ::2].to(torch.complex64) for image in looks[:2]]


def write(path, image):
    path.parent.mkdir(exist_ok=True, parents=True)
    rows, columns = image.shape
    kind = "complex64" if image.is_complex() else "float32"
    shape = {"height": rows, "width": columns, "count": 1, "dtype": kind}
    where = from_origin(0.0, 10.0 * rows, 10.0, 10.0)
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32631", transform=where, **shape) as f:
        f.write(image.numpy(), 1)


@pytest.fixture
def folder(tmp_path):
    """Two places, the one coherent, the other not."""
    for place, coherence in (("rock", 0.95), ("forest", 0.0)):
        for date, image in enumerate(complex_pair(coherence, len(place))):
            write(tmp_path / place / f"2020010{date + 1}.tif", image)
    return tmp_path


def test_detection_keeps_the_pixels_and_moves_them():
    image, _ = complex_pair(1.0, 3)
    fine = detected(image, (0.0, 0.0))
    assert fine.shape == (2 * SIZE, 2 * SIZE)
    assert torch.allclose(fine[::2, ::2], image.abs(), rtol=1e-3, atol=1e-3)
    moved = detected(image, (0.5, -1.0))
    inner = slice(EDGE, -EDGE)
    there = torch.roll(fine, (1, -2), (0, 1))
    assert torch.allclose(moved[inner, inner], there[inner, inner], atol=0.05)


def test_no_data_stays_so():
    image, _ = complex_pair(1.0, 3)
    image[:10] = torch.nan
    assert bool(torch.isnan(detected(image, (0.3, 0.0))[:20]).all())
    assert not bool(torch.isnan(detected(image, (0.3, 0.0))[20:]).any())


def test_samples_are_where_they_were():
    plane = torch.arange(8.0)[:, None].expand(8, 8)
    assert torch.allclose(enlarged(plane)[:-1, 0], torch.arange(15.0) / 2)


def test_crops_are_labelled(folder):
    source = Coregistered(folder, Recipe(size=2 * SIZE))
    means = []
    for index in range(8):
        item = source.at(index)
        assert item["reference"].shape == item["coherence"].shape == (2 * SIZE, 2 * SIZE)
        assert not bool(item["valid"][: EDGE - 1].any())
        means.append(float(item["coherence"][item["valid"]].mean()))
    means = np.array(means)
    assert (np.abs(means - 0.95) < 0.02).any()
    assert ((np.abs(means - 0.95) < 0.02) | (means < 0.2)).all()
    assert torch.equal(source.at(3)["secondary"], source.at(3)["secondary"])


def test_a_run_learns_from_them(folder, tmp_path):
    recipe = replace(TINY.recipe, size=160)
    source = Coregistered(folder, recipe)
    made = train(replace(TINY, recipe=recipe), tmp_path / "run", None, source, workers=0)
    assert made.step == TINY.steps


def test_detected_images_are_refused(tmp_path):
    for date, image in enumerate(complex_pair(0.9, 1)):
        write(tmp_path / f"2020010{date + 1}.tif", image.abs())
    with pytest.raises(ImageError, match="learned from co-registered SLC"):
        Coregistered(tmp_path, Recipe(size=2 * SIZE))
