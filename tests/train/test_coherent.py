"""Training of the net that tells coherence: it learns, goes on, and its sigma is calibrated."""

from dataclasses import replace

import pytest
import torch

from groundshift.coherent import Learned
from groundshift.coherent.learned import FACTOR
from groundshift.errors import GroundshiftError
from groundshift.matchers.whole import run_whole
from groundshift.nets.coherence import CoherenceConfig
from groundshift.nets.weights import load
from groundshift.synth.recipe import Recipe, draw
from groundshift.synth.stream import item
from groundshift.train import State, TrainConfig, train
from groundshift.train.objective import outcome
from groundshift.train.release import release

RECIPE = Recipe(
    size=64, radar=1.0, plain=1.0, lost=0.0, motions=(("zero", 1.0),), coherence=(0.0, 1.0)
)
TINY = TrainConfig(
    net=CoherenceConfig(0.2),
    recipe=RECIPE,
    objective="coherence",
    guess="none",
    spoiled=0.0,
    steps=4,
    batch=2,
    pool=4,
    warmup=2,
    save=2,
    samples=3,
    validate=4,
)


def test_it_learns_one_batch():
    settings = replace(TINY, rate=3e-3)
    state = State.begin(settings, "cpu")
    drawn = [item(draw(RECIPE, k), k, ("zero",)) for k in range(4)]
    batch = {name: torch.stack([each[name] for each in drawn]) for name in drawn[0]}
    guess = torch.zeros_like(batch["motion"]), torch.ones(4, 64, 64, dtype=torch.bool)
    first = None
    for step in range(140):
        found = outcome(settings, state.net, batch, guess, step)
        first = first or float(found.parts["rmse"])
        state.optimizer.zero_grad()
        found.total.backward()
        torch.nn.utils.clip_grad_norm_(state.net.parameters(), 1.0)
        state.optimizer.step()
    assert float(found.parts["rmse"]) < 0.25 * first


def test_a_run_goes_on_bit_for_bit_and_tells_coherence(tmp_path):
    whole = train(TINY, tmp_path / "whole", workers=0)
    train(TINY, tmp_path / "parts", workers=0, seconds=0)
    part = train(TINY, tmp_path / "parts", workers=0)
    for one, two in zip(whole.net.parameters(), part.net.parameters(), strict=True):
        assert torch.equal(one, two)
    details = load(str(tmp_path / "whole")).details
    assert details["within_68"] - 0.68 == pytest.approx(0.95 - details["within_95"], abs=0.01)
    sample = draw(RECIPE, 9).sample
    found = run_whole(Learned(str(tmp_path / "whole")), sample.reference, sample.secondary)
    raw = load(str(tmp_path / "whole")).net(sample.reference[None], sample.secondary[None])
    assert torch.allclose(found.coherence, raw.coherence[0], atol=1e-5)
    assert torch.allclose(found.sigma, details[FACTOR] * raw.sigma[0], rtol=1e-4)


def test_net_and_objective_go_together():
    for wrong in ({"objective": "truth"}, {"net": TrainConfig().net}):
        with pytest.raises(GroundshiftError, match="do not go together"):
            replace(TINY, **wrong)


def test_its_card_tells_what_it_tells(tmp_path):
    train(TINY, tmp_path / "run", workers=0)
    release(tmp_path / "run", "tiny", tmp_path / "package")
    card = (tmp_path / "package/tiny.md").read_text()
    error = load(str(tmp_path / "run")).details["rmse"]
    assert f"root mean square error is {error:.3f}" in card
    assert "`groundshift coherence`" in card
    assert "search" not in card.split("## Sources")[0]
