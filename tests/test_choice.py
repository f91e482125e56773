"""The matcher "auto": a trained net where the images suit it."""

import json
import logging
from hashlib import sha256

import numpy as np
import pytest
import torch

import groundshift
from groundshift.errors import MatcherError
from groundshift.nets import domain, weights
from groundshift.nets.fusion import Fusion, FusionConfig
from groundshift.nets.refine import learned

RNG = np.random.default_rng(0)
PAIR = [RNG.rayleigh(size=(192, 192)).astype(np.float32) for _ in range(2)]
OPTIONS = {"radiometry": "amplitude", "search": 4}


def likes():
    """Images like those, and a little unlike each other."""
    for image in PAIR:
        blurred = image + 0.1 * np.roll(image, 1, 1)
        yield from (image, blurred, image + 0.3, image - 0.1 * np.roll(image, 1, 0))


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Weights that come with the package, trained on images like these."""
    monkeypatch.setattr(weights, "HERE", tmp_path)
    path = tmp_path / f"{weights.STANDARD}.safetensors"
    span = domain.span_of(torch.from_numpy(rotated) for rotated in likes())
    weights.keep(Fusion(FusionConfig((4, 4, 4))), path, {"span": span})
    digest = sha256(path.read_bytes()).hexdigest()
    (tmp_path / weights.HASHES).write_text(json.dumps({path.name: digest}))


def used(*images, **options):
    return groundshift.track(*images, **OPTIONS, **options).attrs["matcher"]


def test_a_net_where_the_images_are_like_those_of_its_training(shipped):
    assert "Refine" in used(*PAIR)
    assert "Refine" not in used(*PAIR, matcher="default")


def test_the_default_where_they_are_not(shipped, caplog):
    smooth = [np.cumsum(np.cumsum(image, 0), 1) for image in PAIR]
    with caplog.at_level(logging.INFO, "groundshift"):
        found = groundshift.track(*smooth, **OPTIONS)
    assert "Refine" not in found.attrs["matcher"]
    assert "neighbouring pixels" in found.attrs["unlike_training"]
    assert "matcher auto: the default one" in caplog.text


def test_the_default_where_no_weights_come_with_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "HERE", tmp_path)
    assert "Refine" not in used(*PAIR)


def test_other_names_are_refused():
    with pytest.raises(MatcherError, match="or an object such as"):
        used(*PAIR, matcher="best")


def test_weights_by_their_name_and_runs_by_their_folder(shipped, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / weights.NAME).write_bytes((tmp_path / f"{weights.STANDARD}.safetensors").read_bytes())
    for name in (weights.STANDARD, str(run)):
        found = used(*PAIR, matcher=name, stride=8)
        assert repr(learned(name, 4, 8)) == found
    with pytest.raises(MatcherError, match="the folder of a training run"):
        used(*PAIR, matcher="nothing")
