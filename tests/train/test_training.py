"""Training: it learns, it can be stopped anywhere, and the loss says what it should."""

import math
from dataclasses import replace

import pytest
import torch

from groundshift.errors import GroundshiftError
from groundshift.nets.fusion import Found, FusionConfig, Prediction
from groundshift.nets.guess import first_guess
from groundshift.nets.losses import Truth, Weights, error_scale, loss, mixture_nll
from groundshift.synth.recipe import Recipe, draw
from groundshift.synth.speckle import tracking_limit
from groundshift.synth.stream import Stream, item
from groundshift.train import State, TrainConfig, advance, rate_at, train, truth_of
from groundshift.train.pool import Pool, turned, with_search

RECIPE = Recipe(size=64, radar=1.0, plain=1.0, motions=(("waves", 1.0), ("constant", 1.0)))
FAMILIES = ("waves", "constant")
TINY = TrainConfig(
    net=FusionConfig(widths=(8, 8, 8), iterations=1),
    recipe=RECIPE,
    steps=6,
    batch=2,
    pool=4,
    warmup=2,
    save=3,
    samples=1,
    validate=3,
)


class TestRuns:
    def test_a_run_that_stopped_goes_on_bit_for_bit(self, tmp_path):
        whole = train(TINY, tmp_path / "whole", workers=0)
        train(replace(TINY, steps=TINY.steps), tmp_path / "parts", workers=0, seconds=0)
        part = train(TINY, tmp_path / "parts", workers=0)
        assert part.step == whole.step == 6
        for one, two in zip(whole.net.parameters(), part.net.parameters(), strict=True):
            assert torch.equal(one, two)
        for one, two in zip(whole.average.parameters(), part.average.parameters(), strict=True):
            assert torch.equal(one, two)

    def test_without_a_search_the_first_guess_is_nothing(self):
        config = replace(TINY, guess="none", net=replace(TINY.net, settle=False))
        state, given = State.begin(config, "cpu"), []
        state.net.register_forward_pre_hook(lambda _net, inputs: given.append(inputs[2]))
        pool = Pool(Stream(RECIPE, also=with_search), config, torch.device("cpu"), workers=0)
        advance(config, state, pool)
        assert float(given[0].abs().max()) == 0
        assert not any(name.startswith("settle") for name, _ in state.net.named_parameters())
        with pytest.raises(GroundshiftError, match="pass 'search' or 'none'"):
            replace(config, guess="luck")

    def test_it_learns_one_batch(self):
        state = State.begin(replace(TINY, rate=5e-3), "cpu")
        batch = {name: plane[None] for name, plane in item(draw(RECIPE, 1), 1, FAMILIES).items()}
        truth = truth_of(batch)
        guess = first_guess(batch["motion"], torch.Generator().manual_seed(1), 0.6)
        values = []
        for _ in range(30):
            found = state.net(batch["reference"], batch["secondary"], guess)
            total, _ = loss(found, truth, Weights())
            state.optimizer.zero_grad()
            total.backward()
            state.optimizer.step()
            values.append(float(total.detach()))
        assert values[-1] < 0.7 * values[0]

    def test_the_rate_rises_stays_and_falls(self):
        config = TrainConfig(steps=1000, warmup=100, rate=2.0, cool=0.4)
        assert rate_at(config, 0) == pytest.approx(0.02)
        assert rate_at(config, 99) == rate_at(config, 600) == pytest.approx(2.0)
        assert rate_at(config, 700) == pytest.approx(1.0)
        assert rate_at(config, 999) < 0.01
        longer = replace(config, steps=4000)
        assert all(rate_at(longer, k) == rate_at(config, k) for k in range(600))

    def test_the_first_steps_train_one_iteration(self):
        config = replace(TINY, net=replace(TINY.net, iterations=2), single=0.5, crop=48, save=1)
        counts, sides = [], []
        state = State.begin(config, "cpu")
        state.net.register_forward_hook(
            lambda _net, _given, found: counts.append(len(found.predictions))
        )
        state.net.register_forward_pre_hook(lambda _net, given: sides.append(given[0].shape[-1]))
        pool = Pool(Stream(RECIPE, also=with_search), config, torch.device("cpu"), workers=0)
        while state.step < config.steps:
            advance(config, state, pool)
        assert counts == [1, 1, 1, 2, 2, 2]
        assert sides == [48, 48, 48, 64, 64, 64]

    def test_a_crop_uses_as_much_of_a_sample_as_it_is(self):
        config = TrainConfig(batch=4, uses=8, pool=100, steps=2000, single=0.5, crop=128)
        rendered = [config.rendered(step) for step in (0, 800, 1000, 1800)]
        assert rendered == [32, 32 + 100, 32 + 125, 32 + 125 + 400]


class TestPool:
    def test_what_is_drawn_follows_from_the_step(self):
        def batches(first):
            config = replace(TINY, pool=5, uses=1)
            pool = Pool(Stream(RECIPE, also=with_search), config, torch.device("cpu"), workers=0)
            drawn = {}
            for step in range(first, 5):
                generator = torch.Generator().manual_seed(step)
                drawn[step] = pool.batch(step, generator)
            return drawn

        whole, late = batches(0), batches(3)
        for step in (3, 4):
            for name, plane in whole[step].items():
                assert torch.equal(plane.nan_to_num(), late[step][name].nan_to_num()), name

    @pytest.mark.parametrize("turn", range(8))
    def test_turned_samples_are_still_true(self, turn):
        sample = item(draw(RECIPE, 3), 3, FAMILIES)
        sample["found"] = sample["motion"] + 0.5
        got = turned(sample, turn)
        y, x = 20, 41
        to = [63 - v if turn & bit else v for bit, v in ((1, y), (2, x))]
        dy, dx = sample["motion"][:, y, x].tolist()
        motion = [-dy if turn & 1 else dy, -dx if turn & 2 else dx]
        if turn & 4:
            to, motion = to[::-1], motion[::-1]
        assert torch.equal(got["reference"][*to], sample["reference"][y, x])
        assert got["motion"][:, *to].tolist() == pytest.approx(motion)
        half = got["found"] - got["motion"]
        expected = [-0.5 if turn & bit else 0.5 for bit in (1, 2)]
        assert half[:, *to].tolist() == pytest.approx(expected[::-1] if turn & 4 else expected)


class TestLoss:
    def prediction(self, flow, scale=0.1, failure=-30.0):
        log = torch.full_like(flow, math.log(scale))
        one = torch.full_like(flow[:, :1], failure)
        return Prediction(flow, log, torch.ones_like(one), one, -30 + 0 * one)

    def found(self, flow):
        return Found(flow, [self.prediction(flow)])

    def truth(self, motion):
        every = torch.ones_like(motion[:, 0])
        return Truth(motion, every > 0, every > 0, every * math.inf, every * 0.1)

    def test_the_likelihood_is_that_of_laplace_where_nothing_fails(self):
        error = torch.tensor([0.3, -0.2])[None, :, None, None]
        found = mixture_nll(error, self.prediction(error, scale=0.25))
        expected = 2 * math.log(2 * 0.25) + 0.5 / 0.25
        assert float(found) == pytest.approx(expected, rel=1e-5)

    def test_the_mixture_integrates_to_one(self):
        at = torch.linspace(-40, 40, 1601)
        error = torch.stack(torch.meshgrid(at, at, indexing="ij"))[None]
        prediction = self.prediction(error, scale=0.5, failure=-1.0)
        total = (-mixture_nll(error, prediction)).exp().sum() * 0.05**2
        assert float(total) == pytest.approx(1, abs=2e-3)

    def test_sigma_holds_two_thirds_of_the_mixture(self):
        generator = torch.Generator().manual_seed(2)
        sizes = torch.empty(200_000).exponential_(generator=generator)
        error = torch.zeros(1, 2, 1, 1)
        for share in (0.0, 0.05, 0.2):
            failure = math.log(max(share, 1e-9) / (1 - share))
            sigma = self.prediction(error, scale=0.02, failure=failure).sigma().flatten()
            fails = torch.rand(sizes.shape, generator=generator) < share
            errors = sizes * torch.where(fails, math.e, 0.02)
            assert float((errors < sigma[0]).float().mean()) == pytest.approx(0.68, abs=0.005)
        always = self.prediction(error, scale=0.02, failure=9.0).sigma()
        assert float(always.min()) == pytest.approx(math.e * math.log(1 / 0.32), rel=0.1)

    def test_an_error_counts_in_units_of_what_cannot_be_avoided(self):
        motion = torch.zeros(1, 2, 8, 8)
        small, large = (
            loss(self.found(motion + e), self.truth(motion), Weights())[1]["error"]
            for e in (0.1, 0.3)
        )
        assert float(small) == pytest.approx(math.hypot(1, 0.1), rel=1e-4)
        assert float(large) == pytest.approx(math.hypot(3, 0.1), rel=1e-4)

    def test_shrinkage_costs(self):
        motion = torch.randn(1, 2, 32, 32, generator=torch.Generator().manual_seed(0))
        parts = [
            loss(self.found(motion * s), self.truth(motion), Weights())[1]["slope"]
            for s in (1.0, 0.8)
        ]
        assert float(parts[0]) == pytest.approx(0, abs=1e-6)
        assert float(parts[1]) == pytest.approx(0.02 * 0.04, rel=1e-3)

    def test_the_scale_is_the_law_s(self):
        found = error_scale(torch.full((1, 1, 1), 0.6), torch.tensor([0.4]))
        expected = 0.8 * tracking_limit(0.6, (32 * 0.4) ** 2) / 0.4 + 0.008
        assert float(found) == pytest.approx(expected, rel=1e-5)
        optical = error_scale(torch.full((1, 1, 1), math.nan), torch.tensor([math.nan]))
        assert float(optical) == pytest.approx(0.012)

    def test_what_cannot_be_measured_is_not_an_error(self):
        motion = torch.zeros(1, 2, 8, 8)
        truth = self.truth(motion)
        measurable = truth.measurable.clone()
        measurable[..., :4] = False
        wrong = motion.clone()
        wrong[..., :4] = 5.0
        known, hidden = (
            loss(self.found(wrong), truth._replace(measurable=measurable, seen=seen), Weights())[1]
            for seen in (truth.seen, measurable)
        )
        assert float(known["error"]) == pytest.approx(0.1, rel=1e-3)
        assert float(known["invalid"]) == pytest.approx(0.1 * 30 / 2, rel=1e-3)
        # Where ground is seen, sigma must tell even of what cannot be measured.
        assert float(known["likelihood"]) > 2 * float(hidden["likelihood"])


def test_first_guesses_are_near_the_truth_and_repeatable():
    motion = torch.full((4, 2, 96, 128), 3.0)
    one, two = (first_guess(motion, torch.Generator().manual_seed(7), 0.6) for _ in range(2))
    assert torch.equal(one, two)
    assert one.shape == motion.shape
    off = (one - motion).abs()
    assert 0.01 < float(off.mean()) < 1.0
    assert float(off.flatten(1).mean(1).std()) > 0.01


def test_how_far_first_guesses_are_off_is_told():
    motion = torch.zeros(16, 2, 64, 64)
    near, far = (
        first_guess(motion, torch.Generator().manual_seed(7), largest).abs().mean()
        for largest in (0.6, 6.0)
    )
    assert 2 < float(far / near) < 10
