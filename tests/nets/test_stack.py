"""Stacks: the same as pair by pair, with each image seen once."""

from itertools import combinations

import pytest
import torch

from groundshift.errors import MatcherError
from groundshift.filters import Whiten
from groundshift.matchers import Filtered
from groundshift.matchers.whole import match_whole
from groundshift.nets import stack, weights
from groundshift.nets.any import net_of
from groundshift.nets.flownets import FlowNetSConfig
from groundshift.nets.regress import ERRORS, Regress
from groundshift.nets.voxelmorph import VoxelMorph, VoxelMorphConfig
from groundshift.synth.motions import Constant
from groundshift.synth.sample import speckle_sample

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


def test_pairs_are_what_they_are_one_by_one(run, images, monkeypatch):
    monkeypatch.setattr(stack, "TILE", 96)
    found = stack.match_stack(run, images)
    matcher = Filtered(Whiten(), Regress(run))
    assert list(found) == list(combinations(range(3), 2))
    for (i, j), estimate in found.items():
        alone = match_whole(matcher, images[i], images[j])
        # What one image lacks the net sees of the other, beside the hole.
        away = torch.ones(183, 170, dtype=torch.bool)
        if 1 in (i, j):
            away[:150, 40:] = False
        for one, other in zip(estimate, alone, strict=True):
            assert torch.equal(torch.isnan(one)[away], torch.isnan(other)[away])
            assert torch.allclose(one[away], other[away], atol=2e-3, equal_nan=True)
    assert 0.01 < float(found[0, 2].dy.nan_to_num().abs().mean()) < 8


def test_each_image_goes_through_the_encoder_once(run, images, monkeypatch):
    count = 0
    encode = VoxelMorph.encode

    def counting(self, image, known):
        nonlocal count
        count += 1
        return encode(self, image, known)

    monkeypatch.setattr(VoxelMorph, "encode", counting)
    stack.match_stack(run, images)
    assert count == 3


def test_what_is_no_stack(run, images, tmp_path):
    with pytest.raises(MatcherError, match="two or more images of one shape"):
        stack.match_stack(run, images[:1])
    with pytest.raises(MatcherError, match="of one shape"):
        stack.match_stack(run, [images[0], images[1][:-1]])
    weights.keep(net_of(FlowNetSConfig(0.02)), tmp_path / weights.NAME, {})
    with pytest.raises(MatcherError, match="sees both images at once"):
        stack.match_stack(str(tmp_path), images)
