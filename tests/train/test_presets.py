"""Configs with names: what is promised of their sizes, and that each can be drawn from."""

from pathlib import Path
from typing import get_args

import pytest
import torch

from groundshift.nets.any import NETS, Direct, net_of
from groundshift.nets.hourglass import parameters
from groundshift.train import PRESETS
from groundshift.train.configs import CONFIGS, texts

FOLDER = Path(__file__).parents[2] / "configs"
LITERATURE = [config.name for config, net in NETS.items() if net in get_args(Direct)]


@pytest.mark.parametrize("name", LITERATURE)
def test_each_net_is_there_as_published_and_compact(name):
    whole, compact = PRESETS[name], PRESETS[f"{name}-compact"]
    assert whole.net.name == compact.net.name == name
    assert whole.net == type(whole.net)()
    with torch.device("meta"):
        assert parameters(net_of(compact.net)) <= 800_000
    assert whole.rate == 1e-4


def test_compact_weights_fit_into_the_package():
    with torch.device("meta"):
        count = sum(parameters(net_of(PRESETS[f"{name}-compact"].net)) for name in LITERATURE)
    assert 2 * count <= 15_000_000


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_what_its_text_says(name):
    assert CONFIGS.read(name) == PRESETS[name]
    assert CONFIGS.parse(CONFIGS.template(PRESETS[name])) == PRESETS[name]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_file_with_no_more_than_what_is_its_own(name):
    path = FOLDER / f"{name}.yaml"
    assert CONFIGS.read(path) == PRESETS[name]
    assert path.read_text() == texts()[path.name], "run python -m groundshift.train.configs"


def test_no_file_is_there_without_a_preset():
    assert {path.stem for path in FOLDER.iterdir()} == set(PRESETS)
