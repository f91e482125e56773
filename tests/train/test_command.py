"""The command ``train``: a run folder that is a matcher, and that goes on."""

import json

import numpy as np
import pytest
import rasterio
import torch

from groundshift.synth.recipe import Recipe, draw
from groundshift.train import PRESETS, TrainConfig
from groundshift.train.configs import CONFIGS
from test_cli import (
    quiet_logger,  # noqa: F401 - a fixture
    write,
)
from test_cli import run as command

TINY = """
net: {widths: [8, 8, 8], iterations: 1}
recipe: {size: 64, motions: {constant: 1}, radar: 1, plain: 1}
steps: 4
batch: 2
pool: 4
warmup: 1
save: 2
validate: 4
samples: 2
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Threads are the process's: give them back."""
    threads = torch.get_num_threads()
    (tmp_path / "tiny.yaml").write_text(TINY)
    yield tmp_path
    torch.set_num_threads(threads)


def go(folder, *options):
    return command("train", folder / "tiny.yaml", folder / "run", "--workers", "0", *options)


def test_trains_goes_on_and_tracks(folder, capsys):
    assert go(folder, "--steps", "2") == 0
    assert "step        2  loss" in capsys.readouterr().out
    assert go(folder) == 0
    lines = [json.loads(line) for line in (folder / "run/log.jsonl").read_text().splitlines()]
    assert [(line["kind"], line["step"]) for line in lines] == [
        ("train", 2), ("validation", 2), ("train", 4), ("validation", 4),
    ]  # fmt: skip
    assert 0 < lines[-1]["mae"] < 10
    card = (folder / "run/card.md").read_text()
    assert card.startswith("# run\n")
    assert "on synthetic pairs alone" in card
    assert "On 8 synthetic pairs that it was not trained on, behind its search, sigma (" in card
    held = Recipe(64, split="validation", motions=(("constant", 1.0),), radar=1, plain=1)
    image = draw(held, 0).sample.reference.numpy()
    for name in ("a.tif", "b.tif"):
        write(folder / name, image)
    out = folder / "out.tif"
    images = (folder / "a.tif", folder / "b.tif", out)
    assert (
        command("track", *images, "--matcher", folder / "run", "--stride", "1", "--no-quicklook")
        == 0
    )
    with rasterio.open(out) as file:
        assert file.shape == (64, 64)
    assert "unlike those that the net was trained on" not in capsys.readouterr().err
    write(folder / "b.tif", 50 + image)
    assert (
        command("track", *images, "--matcher", folder / "run", "--stride", "1", "--no-quicklook")
        == 0
    )
    said = capsys.readouterr().err
    assert "secondary: the relative scatter" in said
    assert "--matcher default" in said


def test_another_config_needs_another_folder(folder, capsys):
    assert go(folder) == 0
    (folder / "tiny.yaml").write_text(TINY.replace("warmup: 1", "warmup: 2"))
    assert go(folder) == 2
    assert "holds a run with other warmup; choose another folder" in capsys.readouterr().err


def test_fewer_steps_than_there_are(folder, capsys):
    assert go(folder) == 0
    assert go(folder, "--steps", "3") == 2
    assert "has made 4 steps and --steps 3; pass more" in capsys.readouterr().err
    assert json.loads((folder / "run/config.json").read_text())["steps"] == 4


def test_another_bank_needs_another_folder(folder, capsys):
    assert go(folder, "--steps", "2") == 0
    (folder / "run/bank.sha256").write_text("0" * 64)
    assert go(folder) == 2
    assert "was trained with another bank or store" in capsys.readouterr().err


def test_a_run_that_is_not_complete_says_so(folder, capsys):
    assert go(folder, "--hours", "0") == 0
    image = np.random.default_rng(0).rayleigh(size=(64, 64)).astype(np.float32)
    for name in ("a.tif", "b.tif"):
        write(folder / name, image)
    images = (folder / "a.tif", folder / "b.tif", folder / "out.tif")
    assert (
        command("track", *images, "--matcher", folder / "run", "--stride", "1", "--no-quicklook")
        == 0
    )
    assert "stopped at step 1: its sigma is not calibrated" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ("{name: unet, width: 0}", "width=0.0 must be above 0 and at most 8"),
        ("{name: strainnet, width: -1}", "width=-1.0 must be above 0"),
        ("{name: ccressiam, width: .nan}", "width=nan must be above 0"),
        ("{name: flownets, width: 0.02}", "crop=208 must be a multiple of 64 px for flownets, su"),
    ],
)
def test_a_net_that_cannot_be(folder, capsys, net, message):
    (folder / "tiny.yaml").write_text(f"net: {net}\nrecipe: {{size: 64}}\n")
    assert go(folder) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "run").exists()


def test_a_run_that_failed_at_once_holds_nothing(folder, capsys):
    (folder / "tiny.yaml").write_text(TINY.replace("motions: {constant: 1}", "motions: {zero: 1}"))
    (folder / "run").mkdir()
    (folder / "run/config.json").write_text("{")
    (folder / "run/bank.sha256").write_text("0" * 64)
    assert go(folder, "--steps", "2") == 0
    (folder / "run/config.json").write_text("{")
    assert go(folder) == 2
    assert "config.json is damaged" in capsys.readouterr().err


def test_a_checkpoint_that_is_cut_short(folder, capsys):
    assert go(folder, "--steps", "2") == 0
    state = folder / "run/state.pt"
    state.write_bytes(state.read_bytes()[:-1000])
    assert go(folder) == 2
    assert "state.pt is damaged" in capsys.readouterr().err


def test_invented_scenes_are_spoken_of(folder, capsys):
    assert go(folder, "--steps", "1") == 0
    assert "no bank of real texture is given" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("start: smal", "there are no weights 'smal'"),
        ("start: small", "the weights 'small' belong to net={'widths': (24, 40, 80)"),
    ],
)
def test_a_start_that_fails_leaves_no_folder(folder, capsys, text, message):
    (folder / "tiny.yaml").write_text(f"{TINY}{text}\n")
    assert go(folder) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "run").exists()


def test_a_device_that_is_not_there(folder, capsys):
    assert go(folder, "--device", "gpu") == 2
    assert "pass 'cpu', 'cuda' or 'auto'" in capsys.readouterr().err


def test_a_run_that_cannot_be_a_folder(folder, capsys):
    (folder / "run").write_text("")
    assert go(folder) == 2
    assert "cannot be the folder of a run" in capsys.readouterr().err


def test_the_template_is_the_small_preset(capsys):
    assert command("train", "--template") == 0
    text = capsys.readouterr().out
    assert CONFIGS.parse(text) == PRESETS["small"] == TrainConfig()
    assert "  # Rows and columns, pixels." in text


def test_the_template_of_a_net_has_its_own_keys(capsys):
    assert command("train", "strainnet-compact", "--template") == 0
    text = capsys.readouterr().out
    assert CONFIGS.parse(text) == PRESETS["strainnet-compact"]
    assert "  # Times as many channels as published.\n  width: 0.14" in text


def test_without_a_folder_nothing_is_trained(capsys):
    assert command("train", "small") == 2
    assert "the folder of the run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step: 3", "did you mean 'steps'"),
        ("smooth: -1", "smooth=-1.0 must be 0 or more"),
        ("steps: 0", "must be above 0"),
        ("cool: 2", "is no share"),
        ("recipe: {size: 100}", "must be a multiple of 16"),
        ("net: {widths: [1, 2]}", "widths has 2 values and must have 3"),
    ],
)
def test_bad_configs_are_refused_before_the_work(folder, capsys, text, message):
    (folder / "tiny.yaml").write_text(text)
    assert go(folder) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "run").exists()
