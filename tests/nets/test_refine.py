"""Weights in files, and a net as a matcher: what holds whatever it has learned."""

import json

import pytest
import torch

from groundshift.errors import MatcherError
from groundshift.matchers.prior import upsample
from groundshift.nets import weights
from groundshift.nets.fusion import PERIOD, Fusion, FusionConfig
from groundshift.nets.refine import Refine
from groundshift.synth.motions import Waves
from groundshift.synth.recipe import Recipe
from groundshift.synth.sample import speckle_sample
from groundshift.train import TrainConfig, train

SIZE = 96


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A net with random weights that do something."""
    torch.manual_seed(0)
    net = Fusion(FusionConfig(widths=(4, 4, 4), iterations=1))
    torch.nn.init.normal_(net.head.weight, std=0.05)
    folder = tmp_path_factory.mktemp("run")
    weights.keep(net, folder / weights.NAME, {"steps": 3})
    return str(folder)


@pytest.fixture(scope="module")
def matcher(run):
    return Refine(run, iterations=1, reach=4)


@pytest.fixture(scope="module")
def scene(matcher):
    """Both images and a prior, with the context of one iteration around `SIZE` pixels."""
    margin = matcher.halo
    sample = speckle_sample(
        Waves((1.0, 1.0), (90.0, 70.0)), size=SIZE + 2 * margin, coherence=0.9, seed=5
    )
    generator = torch.Generator().manual_seed(1)
    cells = torch.randn(2, *(-(-n // 32) for n in sample.reference.shape), generator=generator)
    prior = torch.stack([upsample(plane, 32) for plane in cells])
    return sample.reference, sample.secondary, prior[:, : margin * 2 + SIZE, : margin * 2 + SIZE]


def same(one, two):
    return all(
        torch.allclose(a, b, atol=1e-5, equal_nan=True) for a, b in zip(one, two, strict=True)
    )


class TestRefine:
    def test_one_result_for_each_pixel(self, matcher, scene):
        found = matcher(*scene)
        assert all(plane.shape == (SIZE, SIZE) for plane in found)
        assert bool(found.sigma_dy.isfinite().any())

    def test_nothing_beyond_the_halo_counts(self, matcher, scene):
        inner = SIZE - 2 * PERIOD
        part = (..., slice(PERIOD, -PERIOD), slice(PERIOD, -PERIOD))
        narrow = matcher(*(plane[part] for plane in scene))
        wide = matcher(*scene)
        assert narrow.dy.shape == (inner, inner)
        assert same(narrow, (plane[part] for plane in wide))

    def test_no_data_is_the_same_as_the_end_of_the_image(self, run):
        net = weights.load(run).net
        sample = speckle_sample(Waves((1.0, 1.0), (90.0, 70.0)), size=128, coherence=0.9, seed=6)
        guess = torch.zeros(1, 2, 128, 128)
        around = (48,) * 4
        wide = torch.nn.functional.pad(sample.reference, around, value=torch.nan)[None]
        beyond = torch.nn.functional.pad(sample.secondary, around, value=torch.nan)[None]
        with torch.no_grad():
            small = net(sample.reference[None], sample.secondary[None], guess, 2).predictions[-1]
            large = net(
                wide, beyond, torch.nn.functional.pad(guess, around, value=3.0), 2
            ).predictions[-1]
        for one, two in zip(small, large, strict=True):
            assert torch.allclose(one, two[..., 48:-48, 48:-48], atol=1e-5)

    def test_larger_cells_hold_the_mean_of_their_pixels(self, run, matcher, scene):
        fine, coarse = matcher(*scene), Refine(run, stride=4, iterations=1, reach=4)(*scene)
        blocks = fine.dy.unfold(0, 4, 4).unfold(1, 4, 4).flatten(2)
        whole = blocks.isfinite().all(-1) & coarse.dy.isfinite()
        assert bool(whole.any())
        assert torch.allclose(blocks.mean(-1)[whole], coarse.dy[whole], atol=1e-5)

    def test_without_any_prior_there_is_no_result(self, matcher, scene):
        found = matcher(scene[0], scene[1], torch.full_like(scene[2], torch.nan))
        assert bool(found.dy.isnan().all())

    @pytest.mark.parametrize("wrong", [{"stride": 3}, {"iterations": 0}, {"reach": -1}])
    def test_what_it_cannot_do(self, run, wrong):
        with pytest.raises(MatcherError):
            Refine(run, **wrong)


class TestWeights:
    def test_they_come_back(self, run):
        found = weights.load(run)
        assert found.details == {"steps": 3}
        assert found.net.config.widths == (4, 4, 4)

    def test_half_the_size(self, run, tmp_path):
        net = weights.load(run).net
        for half in (False, True):
            weights.keep(net, tmp_path / f"{half}.safetensors", {}, half=half)
        sizes = [(tmp_path / f"{half}.safetensors").stat().st_size for half in (False, True)]
        assert sizes[1] < 0.7 * sizes[0]
        back = weights.load(str(tmp_path / "True.safetensors")).net
        for one, two in zip(net.parameters(), back.parameters(), strict=True):
            assert torch.allclose(one, two, rtol=1e-3, atol=1e-6)

    def test_a_run_that_goes_on_is_a_matcher(self, tmp_path):
        net, recipe = FusionConfig(widths=(4, 4, 4)), Recipe(size=64)
        config = TrainConfig(net, recipe, steps=9, batch=1, pool=2, samples=0)
        train(config, tmp_path, workers=0, seconds=0)
        assert weights.load(str(tmp_path)).details == {"step": 1, "guess": "search"}

    def test_nothing_there(self, tmp_path):
        with pytest.raises(MatcherError, match="there are no weights"):
            weights.load(str(tmp_path))

    def test_not_of_this_net(self, tmp_path):
        path = tmp_path / weights.NAME
        path.write_bytes(b"no weights at all")
        with pytest.raises(MatcherError, match="holds no weights of this net"):
            weights.load(str(tmp_path))

    def test_damaged_weights_of_the_package_are_refused(self, run, tmp_path, monkeypatch):
        monkeypatch.setattr(weights, "HERE", tmp_path)
        net = weights.load(run).net
        weights.keep(net, tmp_path / "mine.safetensors", {})
        (tmp_path / weights.HASHES).write_text(json.dumps({"mine.safetensors": "0"}))
        assert weights.names() == ("mine",)
        with pytest.raises(MatcherError, match="damaged"):
            weights.load("mine")
