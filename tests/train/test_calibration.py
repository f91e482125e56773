"""Calibration: sigma that is wrong by a factor comes out right, on other samples as well."""

import json
import os
from dataclasses import replace

import pytest
import torch
from test_training import TINY

from groundshift.errors import MatcherError
from groundshift.matchers.whole import match_whole
from groundshift.nets import weights
from groundshift.nets.calibrated import SIZES, calibrated
from groundshift.nets.fusion import Fusion, FusionConfig
from groundshift.nets.refine import learned
from groundshift.nets.regress import sigma_of
from groundshift.nets.voxelmorph import VoxelMorphConfig
from groundshift.nets.weights import NAME, load
from groundshift.synth.recipe import Recipe
from groundshift.train import train
from groundshift.train.calibration import (
    EACH,
    PARTS,
    chance_of,
    sigma_by_score,
    temperature,
    temperatures,
)
from groundshift.train.config import TrainConfig
from groundshift.train.record import LOG
from groundshift.train.release import LARGEST, SCORES, release
from groundshift.train.state import State
from groundshift.train.validation import samples_of


def test_a_wrong_factor_is_found():
    errors = torch.randn(200_000, generator=torch.Generator().manual_seed(1)).abs()
    for factor in (0.3, 1.0, 4.0):
        assert temperature(errors * factor) == pytest.approx(factor, rel=0.02)


def test_neither_interval_of_a_heavier_tail_promises_too_much():
    chance = torch.rand(200_000, generator=torch.Generator().manual_seed(2))
    laplace = -chance.log()
    scaled = laplace / temperature(laplace)
    held = [float((scaled <= size).float().mean()) for size in (0.99446, 1.95996)]
    assert held[0] > 0.75  # its .68 lies at 1.14, its .95 at 3.00
    assert held[1] == pytest.approx(0.95, abs=1e-5)
    light = torch.rand(200_000, generator=torch.Generator().manual_seed(3))
    scaled = light / temperature(light)
    assert float((scaled <= 0.99446).float().mean()) == pytest.approx(0.68, abs=1e-5)
    assert float((scaled <= 1.95996).float().mean()) == 1


def test_each_size_of_sigma_has_its_own_factor():
    generator = torch.Generator().manual_seed(3)
    sigma = torch.tensor(SIZES).repeat_interleave(EACH)
    factors = torch.tensor([0.5, 1.0, 2.0, 3.0]).repeat_interleave(EACH)
    error = (torch.randn(len(sigma), generator=generator) * sigma * factors).abs()
    found = temperatures(error, sigma)
    assert found == pytest.approx([0.5, 1.0, 2.0, 3.0], rel=0.05)
    assert torch.allclose(calibrated(sigma, found), sigma * factors, rtol=0.05)
    # A size that hardly occurs has the factor of all.
    assert temperatures(error[EACH:], sigma[EACH:])[0] == temperature((error / sigma)[EACH:])


def test_chance_is_what_images_of_other_places_hardly_exceed(tmp_path):
    state = State.begin(TrainConfig(net=VoxelMorphConfig(width=0.5), guess="none", spoiled=0.0))
    state.save(tmp_path)
    recipe = Recipe(128, motions=(("zero", 1.0),), radar=1.0, plain=1.0, coherence=(0.9, 0.9))
    samples = samples_of(recipe, None, 6)
    level = chance_of(tmp_path, samples)
    matcher = learned(str(tmp_path))
    images = [[sample[name] for name in ("reference", "secondary")] for sample in samples]
    alike = torch.cat([match_whole(matcher, *pair).score.flatten() for pair in images])
    other = [match_whole(matcher, images[k][0], images[k - 1][1]).score for k in range(6)]
    assert float((torch.cat(other) > level).float().mean()) == pytest.approx(0.05, abs=0.04)
    assert float((alike > level).float().mean()) > 0.9
    assert chance_of(tmp_path, samples[:1]) == -1.0


def test_sigma_by_score_holds_and_never_rises_with_the_score():
    generator = torch.Generator().manual_seed(5)
    score = torch.rand(240_000, generator=generator)
    spread = 0.05 + 0.5 * (1 - score)
    wrong = torch.rand(len(score), generator=generator) < 0.08
    error = torch.randn(len(score), generator=generator) * spread
    error = torch.where(wrong, 20 * error, error).abs()
    error[score > 0.95] *= 10  # as where textures of one date are matched with themselves
    table = sigma_by_score(error, score)
    assert len(table) == PARTS
    known, sizes = zip(*table, strict=True)
    assert list(known) == sorted(known)
    assert list(sizes) == sorted(sizes, reverse=True)
    sigma = sigma_of(score, table)
    for part in score.argsort().tensor_split(PARTS):
        assert float((error <= sigma)[part].float().mean()) > 0.65
        assert float((error <= 1.96 * sigma)[part].float().mean()) > 0.92
    assert float((error <= 1.96 * sigma).float().mean()) > 0.95


def test_factors_between_sizes_and_beyond():
    between = torch.tensor([0.001, (SIZES[0] * SIZES[1]) ** 0.5, 50.0])
    found = calibrated(between, (1.0, 2.0, 2.0, 4.0)) / between
    assert found.tolist() == pytest.approx([1.0, 1.5, 4.0])
    with pytest.raises(ValueError, match="2 factors for 4"):
        calibrated(between, (1.0, 2.0))


def test_a_complete_run_has_calibrated_weights_and_keeps_them(tmp_path):
    config: TrainConfig = replace(TINY, samples=2)
    train(config, tmp_path, workers=0)
    details = load(str(tmp_path / NAME)).details
    assert details["steps"] == config.steps
    assert details["config"]["recipe"]["size"] == config.recipe.size
    assert len(details["temperatures"]) == len(SIZES)
    assert all(0.01 < factor < 100 for factor in details["temperatures"])
    assert details["within_68"] < details["within_95"]
    assert 0.5 < details["band"] < 10
    assert 0 < details["span"]["scatter"][0] <= details["span"]["scatter"][1] < 2
    before = (tmp_path / NAME).read_bytes()
    train(config, tmp_path, workers=0)
    assert (tmp_path / NAME).read_bytes() == before
    train(replace(config, steps=config.steps + 1), tmp_path, workers=0)
    assert load(str(tmp_path)).details["steps"] == config.steps + 1


def test_a_complete_run_is_released_with_hash_and_card(tmp_path, monkeypatch):
    train(replace(TINY, samples=2), tmp_path / "run", workers=0)
    monkeypatch.setattr(weights, "HERE", tmp_path / "package")
    path = release(tmp_path / "run", "tiny", tmp_path / "package")
    assert weights.names() == ("tiny",)
    one, two = load("tiny"), load(str(tmp_path / "run"))
    lines = (tmp_path / "run" / LOG).read_text().splitlines()
    known = [json.loads(line) for line in lines]
    curve = [[each["step"], each["pixels"]] for each in known if each["kind"] == "train"]
    assert one.details == two.details | {"curve": curve}
    for half, full in zip(one.net.parameters(), two.net.parameters(), strict=True):
        assert torch.allclose(half, full, rtol=1e-3, atol=1e-6)
    assert f"{TINY.steps} steps" in (tmp_path / "package/tiny.md").read_text()
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(MatcherError, match="damaged"):
        load("tiny")


def test_a_card_has_the_benchmark_and_what_came_before(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "HERE", tmp_path / "package")
    train(replace(TINY, samples=1), tmp_path / "one", workers=0)
    release(tmp_path / "one", "tiny", tmp_path / "package")
    train(replace(TINY, samples=1, steps=3, start="tiny"), tmp_path / "two", workers=0)
    record = {"suite": "zero", "matcher": 'learned("tiny", search={reach})'}
    other = {"suite": "zero", "matcher": "default(search={reach})", "score": {"mae": 9.0}}
    scores = [dict.fromkeys(SCORES) | {"mae": mae} for mae in (0.02, 0.04, None)]
    records = [other, *({**record, "score": score} for score in scores)]
    results = tmp_path / "benchmark.json"
    results.write_text(json.dumps({"facts": {"split": "test"}, "records": records}))
    release(tmp_path / "two", "tiny", tmp_path / "package", results)
    card = (tmp_path / "package/tiny.md").read_text()
    assert "| zero | 0.03 |" in card
    assert f"3 steps in 0.0 h on {os.cpu_count()} processors" in card
    assert f", after {TINY.steps} steps in 0.0 h on synthetic pairs." in card


def test_what_comes_with_the_package_is_whole():
    for name in weights.names():
        load(name)
        assert (weights.HERE / f"{name}.md").is_file()
        assert (weights.HERE / f"{name}.safetensors").stat().st_size <= LARGEST


def test_weights_of_a_run_that_have_changed_are_refused(tmp_path):
    path = tmp_path / NAME
    weights.keep(Fusion(FusionConfig((4, 4, 4))), path, {})
    load(str(tmp_path))
    whole = bytearray(path.read_bytes())
    whole[-3] ^= 1
    path.write_bytes(bytes(whole))
    with pytest.raises(MatcherError, match="have changed since they were written"):
        load(str(tmp_path))
