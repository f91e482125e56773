"""Stacks: the same as pair by pair, with each image seen once."""

from itertools import combinations

import pytest
import torch

from groundshift.errors import GridError, MatcherError
from groundshift.filters import Whiten
from groundshift.matchers import NCC, Filtered
from groundshift.matchers.whole import match_whole
from groundshift.nets import weights
from groundshift.nets.any import net_of
from groundshift.nets.flownets import FlowNetSConfig
from groundshift.nets.regress import ERRORS, Regress
from groundshift.nets.stack import stacked
from groundshift.nets.voxelmorph import VoxelMorph, VoxelMorphConfig
from groundshift.synth.motions import Constant
from groundshift.synth.sample import speckle_sample
from groundshift.tile import map_stack, plan
from groundshift.types import Estimate

TABLE = [(0.2, 0.5), (0.6, 0.3), (0.9, 0.1)]


@pytest.fixture(scope="module", params=[0, 3], ids=["as published", "products"])
def run(request, tmp_path_factory):
    """Random weights that do something."""
    torch.manual_seed(0)
    net = net_of(VoxelMorphConfig(0.3, request.param))
    torch.nn.init.normal_(net.flow.weight, std=0.3)
    folder = tmp_path_factory.mktemp("run")
    weights.keep(net, folder / weights.NAME, {"guess": "none", ERRORS: TABLE})
    return str(folder)


@pytest.fixture(scope="module")
def images():
    """Three, each moved by a little, one with a hole, whose sides fit no period."""
    pairs = [
        speckle_sample(Constant(0.4, 0.2 * k), size=192, coherence=0.9, seed=1) for k in range(3)
    ]
    found = [pair.secondary[:183, :170].clone() for pair in pairs]
    found[1][60:90, 100:140] = torch.nan
    return found


def together(run, images, stride=1, **settings):
    """All pairs, through tiles."""
    pairs = tuple(combinations(range(len(images)), 2))
    operator = stacked(Filtered(Whiten(), Regress(run, stride)), len(images), pairs)
    planes = map_stack(operator, [image.numpy() for image in images], **settings).compute()
    parts = torch.from_numpy(planes).unflatten(0, (len(pairs), 5))
    return {pair: Estimate(*each) for pair, each in zip(pairs, parts, strict=True)}


@pytest.mark.parametrize("stride", [1, 4])
def test_pairs_are_what_they_are_one_by_one(run, images, stride):
    found = together(run, images, stride)
    matcher = Filtered(Whiten(), Regress(run, stride))
    for (i, j), estimate in found.items():
        alone = match_whole(matcher, images[i], images[j])
        # What one image lacks the net sees of the other, beside the hole.
        away = torch.ones(estimate.dy.shape, dtype=torch.bool)
        if 1 in (i, j):
            away[: 150 // stride, 40 // stride :] = False
        for one, other in zip(estimate, alone, strict=True):
            assert torch.equal(torch.isnan(one)[away], torch.isnan(other)[away])
            assert torch.allclose(one[away], other[away], atol=2e-3, equal_nan=True)
    assert 0.01 < float(found[0, 2].dy.nan_to_num().abs().mean()) < 8


def test_tiles_leave_no_trace(run, images):
    whole, parts = (together(run, images, tile=side) for side in (192, 64))
    for pair, estimate in whole.items():
        for one, other in zip(estimate, parts[pair], strict=True):
            assert torch.equal(torch.isnan(one), torch.isnan(other))
            assert torch.allclose(one, other, atol=1e-4, equal_nan=True)


def test_each_image_goes_through_the_encoder_once(run, images, monkeypatch):
    count = 0
    encode = VoxelMorph.encode

    def counting(self, image, known):
        nonlocal count
        count += 1
        return encode(self, image, known)

    monkeypatch.setattr(VoxelMorph, "encode", counting)
    together(run, images, tile=192)
    assert count == 3


def test_memory_is_planned_for_all_images(run):
    matcher = Filtered(Whiten(), Regress(run))
    few, many = (stacked(matcher, n, tuple(combinations(range(n), 2))) for n in (2, 9))
    assert many.bytes_of(512, 512) > 1.5 * few.bytes_of(512, 512)
    large, small = (plan((4000, 4000), many, memory) for memory in (8 << 30, 1 << 30))
    assert small.height * small.width < large.height * large.width


def test_what_is_no_stack(run, images, tmp_path):
    matcher = Filtered(Whiten(), Regress(run))
    with pytest.raises(MatcherError, match="two or more images"):
        stacked(matcher, 1, ((0, 0),))
    with pytest.raises(MatcherError, match="and pairs of them"):
        stacked(matcher, 3, ())
    with pytest.raises(GridError, match="differ in shape"):
        together(run, [images[0], images[1][:-1]])
    weights.keep(net_of(FlowNetSConfig(0.02)), tmp_path / weights.NAME, {})
    assert stacked(Filtered(Whiten(), Regress(str(tmp_path))), 3, ((0, 1),)) is None
    assert stacked(NCC(), 3, ((0, 1),)) is None
