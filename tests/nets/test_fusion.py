"""The flagship net before it has learned anything: what holds by construction."""

import pytest
import torch
from torch.nn.functional import avg_pool2d

from groundshift.nets import products
from groundshift.nets.cells import CELL
from groundshift.nets.evidence import BEYOND, CANDIDATES, CHANNELS, SIDES, Comparison
from groundshift.nets.fusion import PERIOD, Fusion, FusionConfig
from groundshift.nets.images import Images, standardised
from groundshift.synth.motions import Constant, Waves
from groundshift.synth.sample import speckle_sample

SMALL = FusionConfig(widths=(8, 8, 8))
WHOLE = len(SIDES) + len(BEYOND)
"""Candidates that take the displacement to be the same all over a window."""


@pytest.fixture(scope="module")
def pair():
    return speckle_sample(Constant(0.6, -0.4), size=192, coherence=0.95, seed=1)


def images_of(sample):
    return Images.of(sample.reference[None], sample.secondary[None])


def evidence(images, flow):
    """All rows at once."""
    return Comparison.of(images, flow).evidence(flow, slice(0, flow.shape[-2] // CELL))


class TestEvidence:
    def test_every_window_finds_what_is_left_of_a_shift(self, pair):
        guess = torch.tensor([0.3, 0.1])[None, :, None, None].expand(1, 2, 192, 192)
        found = evidence(images_of(pair), guess).candidates
        assert found.shape == (1, CANDIDATES, 2, 96, 96)
        inner = found[..., 36:-36, 36:-36]
        # A step of half a pixel overshoots: the curvature of speckle's correlation falls off.
        for step, spread in zip(inner[0], (0.5, 0.35, 0.3, 0.3, 0.3), strict=False):
            assert float((step[0] - 0.3).abs().mean()) < spread
            assert float((step[1] + 0.5).abs().mean()) < spread

    def test_the_rest_is_about_the_running_displacement_not_about_zero(self, pair):
        # The same rest around another whole shift of the secondary gives the same evidence.
        moved = pair._replace(secondary=pair.secondary.roll(4, 1))
        guess = torch.tensor([0.6, -0.4])[None, :, None, None].expand(1, 2, 192, 192)
        there = guess + torch.tensor([0.0, 4.0])[None, :, None, None]
        one = evidence(images_of(pair), guess)
        two = evidence(images_of(moved), there)
        # The roll changes local means by what it brings in from the other side.
        inside = (..., slice(52, -52), slice(52, -52))
        assert torch.allclose(one.channels[inside], two.channels[inside], atol=0.02)

    def test_a_window_tells_the_rest_at_its_centre_where_the_guess_is_uneven(self):
        sample = speckle_sample(Waves((1.0, 1.0), (150.0, 150.0)), size=256, coherence=1.0, seed=2)
        truth = torch.stack([sample.dy, sample.dx])[None]
        uneven = truth + 0.3 * torch.sin(torch.arange(256) / 5.0)
        found = evidence(images_of(sample), uneven)
        rest = avg_pool2d(truth - uneven, CELL)
        error = (found.candidates[:, 1] - rest)[..., 40:-40, 40:-40]
        assert float(error.abs().mean()) < 0.5 * float(rest.abs().mean())

    def test_the_second_kind_keeps_what_the_displacement_already_has(self):
        sample = speckle_sample(Waves((1.0, 1.0), (60.0, 60.0)), size=256, coherence=1.0, seed=2)
        truth = torch.stack([sample.dy, sample.dx])[None]
        found = evidence(images_of(sample), truth - 0.2).candidates[..., 40:-40, 40:-40]
        widest, keeping = (found[:, [k]] - 0.2 for k in (len(SIDES) - 1, WHOLE + len(SIDES) - 2))
        assert float(keeping.abs().mean()) < 0.05 < 0.3 < float(widest.abs().mean())

    def test_what_is_extrapolated_is_less_blurred(self):
        sample = speckle_sample(Waves((1.0, 1.0), (200.0, 200.0)), size=384, coherence=1.0, seed=2)
        truth = torch.stack([sample.dy, sample.dx])[None]
        guess = torch.zeros_like(truth) + truth.mean((2, 3), keepdim=True)
        found = evidence(images_of(sample), 0.8 * truth + 0.2 * guess)
        rest = avg_pool2d(0.2 * (truth - guess), CELL)
        error = (found.candidates - rest[:, None])[..., 60:-60, 60:-60].abs().mean((0, 2, 3, 4))
        for number, (_, large) in enumerate(BEYOND):
            assert float(error[len(SIDES) + number]) < 0.6 * float(error[large])

    def test_nothing_comes_of_nothing(self):
        flat = torch.full((1, 128, 128), 3.0)
        found = evidence(Images.of(flat, flat), torch.zeros(1, 2, 128, 128))
        assert float(found.candidates.abs().max()) == 0
        assert float(found.channels[:, -1].max()) == 0

    def test_holes_are_unknown_and_harmless(self, pair):
        reference = pair.reference.clone()
        reference[60:100, 60:100] = torch.nan
        found = evidence(
            Images.of(reference[None], pair.secondary[None]), torch.zeros(1, 2, 192, 192)
        )
        assert bool(found.channels.isfinite().all())
        assert float(found.channels[0, -1, 32:48, 32:48].max()) == 0
        assert found.channels.shape[1] == CHANNELS

    @pytest.mark.parametrize("noise", [0.0, 0.03, 0.2])
    @pytest.mark.parametrize(("across", "told"), [(0.0, True), (1.0, False)])
    def test_stripes_are_told_from_texture(self, noise: float, across: float, told: bool):
        at = torch.arange(192.0)
        ground = torch.sin(0.4 * at + 0.3 * at[:, None])
        ground = ground + across * torch.sin(-0.3 * at + 0.4 * at[:, None])
        generator = torch.Generator().manual_seed(3)
        dates = [ground + noise * torch.randn(192, 192, generator=generator) for _ in "12"]
        flow = torch.zeros(1, 2, 192, 192)
        found = Comparison.of(Images.of(*(date[None] for date in dates)), flow).striped
        assert float(found[..., 12:-12, 12:-12].float().mean() > 0.95) == told
        assert bool(found[..., 12:-12, 12:-12].any()) == told

    @pytest.mark.parametrize("coherence", [0.4, 0.9])
    def test_speckle_is_not_striped(self, coherence: float):
        sample = speckle_sample(Constant(0.0, 0.0), size=256, coherence=coherence, seed=3)
        flow = torch.zeros(1, 2, 256, 256)
        assert float(Comparison.of(images_of(sample), flow).striped.float().mean()) < 0.01

    def test_what_is_striped_cannot_be_measured_whatever_the_net_says(self):
        at = torch.arange(192.0)
        stripes = (at / 3).sin().expand(1, 192, 192)
        net = Fusion(SMALL)
        for training, expected in ((False, 18.0), (True, -2.0)):
            net.train(training)
            logit = net(stripes, stripes, torch.zeros(1, 2, 192, 192)).predictions[-1].invalid
            assert float(logit.detach().median()) == pytest.approx(expected, abs=0.1)

    def test_strips_leave_no_trace(self, pair, monkeypatch):
        reference, secondary = pair.reference.clone(), pair.secondary
        reference[60:100, 60:100] = torch.nan
        # Displacements that lead far beyond the strip, and beyond the image.
        rows = torch.arange(192.0)[:, None].expand(192, 192)
        flow = torch.stack([40 * (rows / 30).sin(), 0.5 * rows - 40])[None]
        images = Images.of(reference[None], secondary[None])
        whole = evidence(images, flow)
        monkeypatch.setattr(products, "AREA", 192 * 16)
        compared = Comparison.of(images, flow)
        parts = [
            compared.evidence(flow[..., 2 * rows.start : 2 * rows.stop, :], rows)
            for rows in (slice(0, 2), slice(2, 50), slice(50, 96))
        ]
        for plane, cut in zip(whole, zip(*parts, strict=True), strict=True):
            assert torch.allclose(plane, torch.cat(cut, -2), atol=1e-5)

    def test_gain_and_offset_do_not_matter(self, pair):
        one, two = standardised(pair.reference[None])[0], standardised(7 * pair.reference[None])[0]
        assert torch.allclose(one, two, atol=1e-4)


class TestFusion:
    def test_sizes(self):
        count = {
            widths: sum(p.numel() for p in Fusion(FusionConfig(widths)).parameters())
            for widths in ((24, 40, 80), (36, 72, 136), (48, 96, 200))
        }
        small, medium, large = count.values()
        assert small <= 600_000
        assert 0.9e6 < medium < 1.2e6
        assert 1.8e6 < large < 2.4e6

    def test_untrained_it_averages_the_candidates(self, pair):
        torch.manual_seed(0)
        net = Fusion(SMALL)
        guess = torch.zeros(1, 2, 192, 192)
        last = net(pair.reference[None], pair.secondary[None], guess, 3).predictions[-1]
        inner = last.flow.detach()[..., 64:-64, 64:-64].mean((0, 2, 3))
        assert float(inner[0]) == pytest.approx(0.6, abs=0.08)
        assert float(inner[1]) == pytest.approx(-0.4, abs=0.08)
        assert last.sigma().shape == last.flow.shape
        assert bool((last.sigma().detach() > 0).all())

    def test_every_weight_learns(self, pair):
        net = Fusion(SMALL)
        torch.nn.init.normal_(net.head.weight, std=0.05)
        torch.nn.init.normal_(net.settle.head.weight, std=0.05)
        found = net(pair.reference[None], pair.secondary[None], torch.zeros(1, 2, 192, 192))
        total = sum(plane.square().mean() for plane in (found.settled, *found.predictions[-1]))
        total.backward()
        for name, weights in net.named_parameters():
            assert weights.grad is not None, name
            assert float(weights.grad.abs().sum()) > 0, name

    def test_moving_both_images_by_the_period_moves_the_result(self):
        torch.manual_seed(0)
        sample = speckle_sample(Waves((1.0, 1.0), (90.0, 70.0)), size=704, coherence=0.9, seed=4)
        net = Fusion(FusionConfig(widths=(8, 8, 8), iterations=1)).eval()
        torch.nn.init.normal_(net.head.weight, std=0.05)

        def found(first):
            part = (slice(first, first + 672), slice(first, first + 672))
            with torch.no_grad():
                return (
                    net(
                        sample.reference[part][None],
                        sample.secondary[part][None],
                        torch.zeros(1, 2, 672, 672),
                    )
                    .predictions[-1]
                    .flow
                )

        one, two = found(0), found(PERIOD)
        middle = slice(328, 344)
        moved = slice(328 - PERIOD, 344 - PERIOD)
        assert torch.allclose(one[..., middle, middle], two[..., moved, moved], atol=1e-4)

    @pytest.mark.parametrize("iterations", [1, 2])
    def test_a_part_that_is_asked_for_is_that_of_all(self, iterations):
        torch.manual_seed(0)
        size, margin = 512, 24
        sample = speckle_sample(
            Waves((1.0, 1.0), (90.0, 70.0)), size=size + 2 * margin, coherence=0.9, seed=4
        )
        inner = slice(margin, -margin)
        reference, secondary = sample.reference[inner, inner].clone(), sample.secondary
        reference[100:150, 200:260] = torch.nan
        net = Fusion(FusionConfig(widths=(8, 8, 8))).eval()
        torch.nn.init.normal_(net.head.weight, std=0.05)
        images = reference[None], secondary[None], 3 * torch.randn(1, 2, size, size)
        with torch.no_grad():
            whole = net(*images, iterations).predictions[-1]
            for asked in ((256, 272, 240, 272), (0, 33, 481, 512)):
                cuts = slice(*asked[:2]), slice(*asked[2:])
                part = net(*images, iterations, cuts).predictions[-1]
                for one, other in zip(part, whole, strict=True):
                    assert torch.allclose(one, other[(..., *cuts)], atol=1e-5)
