"""Calibration: sigma that is wrong by a factor comes out right, on other samples as well."""

import math
from dataclasses import replace

import pytest
import torch
from test_training import TINY

from groundshift.nets.weights import NAME, load
from groundshift.train import train
from groundshift.train.calibration import temperature
from groundshift.train.config import TrainConfig


def test_a_wrong_factor_is_found():
    errors = torch.randn(200_000, generator=torch.Generator().manual_seed(1)).abs()
    for factor in (0.3, 1.0, 4.0):
        assert temperature(errors * factor) == pytest.approx(factor, rel=0.02)


def test_intervals_of_a_heavier_tail_are_a_compromise():
    chance = torch.rand(200_000, generator=torch.Generator().manual_seed(2))
    laplace = -chance.log() / math.sqrt(2)  # standard deviation 1
    scaled = laplace / temperature(laplace)
    for sigmas, share in ((1.0, 0.68), (1.96, 0.95)):
        assert float((scaled <= sigmas).float().mean()) == pytest.approx(share, abs=0.05)


def test_a_complete_run_has_calibrated_weights_and_keeps_them(tmp_path):
    config: TrainConfig = replace(TINY, samples=2)
    train(config, tmp_path, workers=0)
    details = load(str(tmp_path / NAME)).details
    assert details["steps"] == config.steps
    assert details["recipe"]["size"] == config.recipe.size
    assert 0.01 < details["temperature"] < 100
    assert details["within_68"] < details["within_95"]
    assert 0.5 < details["band"] < 10
    assert 0 < details["span"]["scatter"][0] <= details["span"]["scatter"][1] < 2
    before = (tmp_path / NAME).read_bytes()
    train(config, tmp_path, workers=0)
    assert (tmp_path / NAME).read_bytes() == before
    train(replace(config, steps=config.steps + 1), tmp_path, workers=0)
    assert load(str(tmp_path)).details["steps"] == config.steps + 1
