"""Nets that regress at once: what they see, what is told of the result, and as matchers."""

import math
from itertools import pairwise

import pytest
import torch

from groundshift.errors import MatcherError
from groundshift.matchers.presets import wide
from groundshift.matchers.whole import match_whole
from groundshift.nets import regress as regress_module
from groundshift.nets import weights
from groundshift.nets.any import NETS, config_of, net_of
from groundshift.nets.direct import alike, regress
from groundshift.nets.flownets import FlowNetSConfig
from groundshift.nets.fusion import FusionConfig
from groundshift.nets.images import Images
from groundshift.nets.losses import scales_loss, stages_loss
from groundshift.nets.microflow import MicroFlow, MicroFlowConfig
from groundshift.nets.refine import learned
from groundshift.nets.regress import CHANCE, ERRORS, Regress, sigma_of
from groundshift.nets.strainnet import StrainNetConfig
from groundshift.synth.motions import Constant, Waves
from groundshift.synth.sample import speckle_sample

TABLE = [(0.2, 0.5), (0.6, 0.3), (0.9, 0.1)]


@pytest.fixture(scope="module", params=[StrainNetConfig("l", 0.1), MicroFlowConfig(0.02, 2)])
def run(request, tmp_path_factory):
    """A small net with random weights that do something."""
    torch.manual_seed(0)
    net = net_of(request.param)
    for stage in net.nets if isinstance(net, MicroFlow) else [net]:
        for head in stage.flow:
            torch.nn.init.normal_(head.weight, std=0.05)
    folder = tmp_path_factory.mktemp("run")
    weights.keep(net, folder / weights.NAME, {"guess": "none", ERRORS: TABLE})
    return str(folder)


def images_of(sample):
    return Images.of(sample.reference[None], sample.secondary[None])


@pytest.mark.parametrize("config", NETS)
def test_configs_come_back_by_their_name(config):
    values = {"name": config.name}
    assert config_of(values) == config()
    assert values == {"name": config.name}
    assert isinstance(net_of(config_of({**values, **NARROW.get(config, {})})), NETS[config])


NARROW = {config: {"width": 0.02} for config in NETS if config is not FusionConfig}


def test_what_is_no_config():
    with pytest.raises(MatcherError, match=r"no net 'raft'; there are: fusion, flownets"):
        config_of({"name": "raft"})
    with pytest.raises(MatcherError, match="flownets has no depth"):
        config_of({"name": "flownets", "depth": 3})


class TestRegress:
    def test_the_secondary_is_seen_through_the_guess(self):
        """What a net sees does not move if the guess is right."""
        sample = speckle_sample(Constant(3.0, -2.0), size=128, coherence=1.0, seed=1)
        net = net_of(StrainNetConfig("l", 0.1)).requires_grad_(requires_grad=False)
        still = images_of(sample._replace(secondary=sample.reference))
        guess = torch.tensor([3.0, -2.0])[None, :, None, None].expand(1, 2, 128, 128)
        expected = regress(net, still, torch.zeros_like(guess))[-1].flow
        found = regress(net, images_of(sample), guess)[-1].flow - guess
        inner = (..., slice(48, -48), slice(48, -48))
        assert float((found - expected)[inner].abs().max()) < 0.02 * float(expected.std() + 1)

    def test_each_stage_follows_what_the_one_before_found(self):
        sample = speckle_sample(Constant(0.5, 0.2), size=96, coherence=0.9, seed=1)
        torch.manual_seed(0)
        net = net_of(MicroFlowConfig(0.05, iterations=3, shared=True))
        for stage in net.nets:
            torch.nn.init.normal_(stage.flow[-1].weight, std=0.05)
        found = regress(net, images_of(sample), torch.zeros(1, 2, 96, 96))
        assert len(found) == 3
        for before, after in pairwise(found):
            squares = torch.nn.functional.avg_pool2d(before.flow.detach(), 4)
            assert torch.allclose(after.shift[..., ::4, ::4], squares, atol=1e-3)
        # What follows is no way for gradients: each stage learns what it adds.
        assert not found[1].shift.requires_grad
        alone = regress(net.nets[0], images_of(sample), found[0].flow.detach())[-1]
        assert torch.equal(alone.flow, found[1].flow)

    def test_images_are_alike_where_the_displacement_is_right(self):
        sample = speckle_sample(Waves((1.0, 1.0), (150.0, 150.0)), size=256, coherence=0.8, seed=2)
        truth = torch.stack([sample.dy, sample.dx])[None]
        inner = (..., slice(32, -32), slice(32, -32))
        right = float(alike(images_of(sample), truth)[0][inner].mean())
        wrong = float(alike(images_of(sample), truth + 5)[0][inner].mean())
        assert right == pytest.approx(0.8**2, abs=0.06)
        assert abs(wrong) < 0.05

    def test_one_result_for_each_pixel_and_what_errors_were(self, run):
        matcher = Regress(run)
        sample = speckle_sample(Constant(0.5, 0.2), size=160, coherence=0.95, seed=3)
        found = match_whole(matcher, sample.reference, sample.secondary)
        assert found.dy.shape == (160, 160)
        # Of the last row and column the secondary does not show all neighbours.
        assert not torch.isnan(found.dy[:-1, :-1]).any()
        assert torch.isnan(found.dy[-1]).all()
        assert torch.isnan(found.dy[:, -1]).all()
        torch.testing.assert_close(found.sigma_dy, found.sigma_dx, equal_nan=True)
        expected = sigma_of(found.score, TABLE)
        inside = found.score > 0
        torch.testing.assert_close(found.sigma_dy[inside], expected[inside])
        assert float(found.sigma_dy[:-1, :-1].min()) >= 0.1

    def test_what_correlates_too_little_is_not_reported(self, run, monkeypatch):
        sample = speckle_sample(Constant(0.5, 0.2), size=160, coherence=0.5, seed=3)
        every = match_whole(Regress(run), sample.reference, sample.secondary)
        monkeypatch.setattr(regress_module, "UNSURE", 0.45)
        some = match_whole(Regress(run), sample.reference, sample.secondary)
        inner = (slice(-1), slice(-1))
        assert not torch.isnan(every.dy[inner]).any()
        assert torch.equal(torch.isnan(some.dy)[inner], every.sigma_dy[inner] > 0.45)
        assert 0 < float(torch.isnan(some.dy[inner]).float().mean()) < 1

    def test_what_correlates_as_by_chance_is_not_reported(self, run, tmp_path):
        sample = speckle_sample(Constant(0.5, 0.2), size=160, coherence=0.5, seed=3)
        every = match_whole(Regress(run), sample.reference, sample.secondary)
        level = float(every.score.nanmedian())
        weights.keep(weights.load(run).net, tmp_path / weights.NAME, {ERRORS: TABLE, CHANCE: level})
        some = match_whole(Regress(str(tmp_path)), sample.reference, sample.secondary)
        inner = (slice(-1), slice(-1))
        assert torch.equal(torch.isnan(some.dy)[inner], every.score[inner] <= level)
        assert float(torch.isnan(some.dy).float().mean()) == pytest.approx(0.5, abs=0.01)

    def test_nothing_beyond_the_halo_counts(self, run):
        matcher = Regress(run)
        halo, size = matcher.halo, 4 * matcher.period
        generator = torch.Generator().manual_seed(4)
        whole = torch.rand(2, *(2 * (size + 2 * halo + 32,)), generator=generator)
        tight = whole[:, 16:-16, 16:-16]
        other = torch.rand(whole.shape, generator=generator)
        other[:, 16:-16, 16:-16] = tight
        one, two = (matcher(*each[:, 16:-16, 16:-16]) for each in (whole, other))
        assert torch.equal(one.dy, two.dy)
        assert one.dy.shape == (size, size)

    def test_no_data_is_the_same_as_the_end_of_the_image(self, run):
        matcher = Regress(run, stride=4)
        sample = speckle_sample(Constant(0.5, 0.2), size=192, coherence=0.9, seed=5)
        alone = match_whole(matcher, sample.reference, sample.secondary)
        wide = [
            torch.nn.functional.pad(each, (64,) * 4, value=torch.nan)
            for each in (sample.reference, sample.secondary)
        ]
        found = match_whole(matcher, *wide)
        for one, two in zip(alone, found, strict=True):
            torch.testing.assert_close(two[16:-16, 16:-16], one, rtol=0, atol=2e-5, equal_nan=True)
        assert torch.isnan(found.dy[:15]).all()

    def test_blank_ground_has_no_result(self, run):
        blank = torch.ones(128, 128)
        assert torch.isnan(match_whole(Regress(run), blank, blank).dy).all()

    def test_learned_goes_by_how_it_was_trained(self, run, tmp_path):
        assert learned(run, stride=8).matcher == Regress(run, 8)
        net, details = weights.load(run)
        weights.keep(net, tmp_path / weights.NAME, {**details, "guess": "search"})
        behind = learned(str(tmp_path), 16, 8)
        assert behind.stages[-1].matcher.stages[-1] == Regress(str(tmp_path), 8)
        assert behind.stages[0] == wide(16)

    @pytest.mark.parametrize("wrong", [{"stride": 3}, {"reach": -1}])
    def test_what_it_cannot_do(self, run, wrong):
        with pytest.raises(MatcherError):
            Regress(run, **wrong)

    def test_other_nets_are_refused(self):
        with pytest.raises(MatcherError, match="use learned"):
            Regress(weights.STANDARD).halo  # noqa: B018


class TestLoss:
    def test_scales_are_weighed_as_published(self):
        target = torch.zeros(1, 2, 32, 32)
        all_of_it = torch.ones(1, 32, 32, dtype=torch.bool)
        flows = [torch.full((1, 2, n, n), 3 / math.sqrt(2)) for n in (8, 16, 32)]
        found = float(scales_loss(flows, target, all_of_it))
        # An error of 3 px everywhere: sums over values, divided by the finest scale's number.
        assert found == pytest.approx(3 * (1 + 2 / 4 + 4 / 16), rel=1e-5)

    def test_later_stages_count_more(self):
        target = torch.zeros(1, 2, 8, 8)
        whole = torch.ones(1, 8, 8, dtype=torch.bool)
        wrong, right = target + 1, target
        assert float(stages_loss([wrong, right, right], target, whole)) == pytest.approx(1.28)
        assert float(stages_loss([right, right, wrong], target, whole)) == pytest.approx(2.0)

    def test_what_cannot_be_measured_does_not_count(self):
        target = torch.zeros(1, 2, 32, 32)
        flow = torch.zeros(1, 2, 16, 16)
        flow[..., :8] = 9.0
        right = torch.ones(1, 32, 32, dtype=torch.bool)
        right[..., :16] = False
        assert float(scales_loss([flow], target, right)) < 1e-3

    def test_targets_are_means(self):
        target = torch.rand(1, 2, 32, 32, generator=torch.Generator().manual_seed(0))
        flow = torch.nn.functional.avg_pool2d(target, 8)
        whole = torch.ones(1, 32, 32, dtype=torch.bool)
        assert float(scales_loss([flow], target, whole)) < 1e-3


def test_errors_are_looked_up_between_the_entries():
    found = sigma_of(torch.tensor([-1.0, 0.2, 0.4, 0.9, 1.0]), TABLE)
    torch.testing.assert_close(found, torch.tensor([0.5, 0.5, 0.4, 0.1, 0.1]))
    assert torch.isnan(sigma_of(torch.tensor([0.5]), ())).all()


def test_flownets_by_name():
    assert config_of({"name": "flownets", "width": 0.5}) == FlowNetSConfig(0.5)
