"""Nets of the literature in the same training: they learn, go on, and get a table of errors."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from groundshift.errors import GroundshiftError
from groundshift.matchers.whole import match_whole
from groundshift.nets.any import NETS, AnyConfig, Direct
from groundshift.nets.fusion import FusionConfig
from groundshift.nets.refine import learned
from groundshift.nets.regress import ERRORS
from groundshift.nets.strainnet import StrainNetConfig
from groundshift.nets.weights import load
from groundshift.settings import Text
from groundshift.synth.recipe import Recipe, draw
from groundshift.synth.stream import item
from groundshift.train import PRESETS, State, TrainConfig, train
from groundshift.train.objective import outcome

RECIPE = Recipe(size=64, radar=1.0, plain=1.0, motions=(("constant", 1.0),), coherence=(0.9, 1.0))
TINY = TrainConfig(
    net=StrainNetConfig("l", 0.1),
    recipe=RECIPE,
    guess="none",
    steps=4,
    batch=2,
    pool=4,
    warmup=2,
    save=2,
    samples=2,
    validate=4,
)
DIRECT = [config for config, net in NETS.items() if net in get_args(Direct)]


@pytest.mark.parametrize("config", DIRECT)
def test_it_learns_one_batch(config):
    settings = replace(TINY, net=config(width=0.06), rate=1e-2)
    state = State.begin(settings, "cpu")
    drawn = item(draw(RECIPE, 1), 1, ("constant",))
    batch = {name: plane[None] for name, plane in drawn.items()}
    guess = torch.zeros_like(batch["motion"]), torch.ones(1, 64, 64, dtype=torch.bool)
    first = None
    for step in range(60):
        found = outcome(settings, state.net, batch, guess, step)
        first = float(found.total.detach()) if first is None else first
        state.optimizer.zero_grad()
        found.total.backward()
        torch.nn.utils.clip_grad_norm_(state.net.parameters(), 1.0)
        state.optimizer.step()
    assert float(found.total.detach()) < 0.3 * first
    error = (found.flow.detach() - batch["motion"]).abs()[..., 8:-8, 8:-8].mean()
    assert float(error) < 0.3 * float(batch["motion"].abs().mean())


def test_a_run_goes_on_bit_for_bit_and_is_a_matcher(tmp_path):
    # Nothing moves, so that a net that has learned nothing has a sigma.
    still = replace(TINY, recipe=replace(RECIPE, motions=(("zero", 1.0),)))
    whole = train(still, tmp_path / "whole", workers=0)
    train(still, tmp_path / "parts", workers=0, seconds=0)
    part = train(still, tmp_path / "parts", workers=0)
    for one, two in zip(whole.net.parameters(), part.net.parameters(), strict=True):
        assert torch.equal(one, two)
    details = load(str(tmp_path / "whole")).details
    table = details[ERRORS]
    assert details["guess"] == "none"
    assert [score for score, _ in table] == sorted(score for score, _ in table)
    assert details["within_68"] == pytest.approx(0.68, abs=0.1)
    sample = draw(still.recipe, 5).sample
    found = match_whole(learned(str(tmp_path / "whole")), sample.reference, sample.secondary)
    assert float(torch.isfinite(found.sigma_dy).float().mean()) > 0.5


def test_nets_are_chosen_by_name_in_yaml():
    text = Text(TrainConfig, "training", "groundshift train", PRESETS)
    found = text.parse("net: {name: strainnet, variant: h, width: 0.5}\nguess: none")
    assert found.net == StrainNetConfig("h", 0.5)
    assert text.parse("net: {widths: [8, 8, 8]}").net == FusionConfig((8, 8, 8))
    for wrong, message in (
        ("net: {name: strainet}", "did you mean 'strainnet'"),
        ("net: {name: flownets, widths: [1]}", "unknown key 'widths'.*there are: width, name"),
        ("net: 3", "net must be keys and values"),
    ):
        with pytest.raises(GroundshiftError, match=message):
            text.parse(wrong)


def test_runs_of_another_net_are_no_start(tmp_path):
    train(replace(TINY, samples=0), tmp_path, workers=0, seconds=0)
    other: AnyConfig = StrainNetConfig("l", 0.2)
    with pytest.raises(GroundshiftError, match="start with the same net"):
        State.begin(replace(TINY, net=other, start=str(tmp_path)))
    State.begin(replace(TINY, start=str(tmp_path)))
