"""Measured fields as motions: turned, scaled, invertible, and kept in a bank."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from groundshift.errors import GroundshiftError
from groundshift.synth import bank
from groundshift.synth.bank import Bank
from groundshift.synth.fields import random_field
from groundshift.synth.measured import STEEPEST, MotionField, Placement, measured, moved_like
from groundshift.synth.motions import origin_of
from groundshift.synth.recipe import Recipe, draw


def field(split: str = "train", **changes) -> MotionField:
    """A stream towards the lower right in the middle of standing ground."""
    y, x = torch.meshgrid(torch.arange(60.0), torch.arange(80.0), indexing="ij")
    speed = torch.exp(-(((y - x + 10) / 8) ** 2))
    levels = (1000 * torch.stack([0.6 * speed, 0.8 * speed])).round().to(torch.int16)
    known = torch.ones(60, 80, dtype=torch.bool)
    known[:5] = False
    values = {
        "name": "ice/a_vx.tif", "scene": "ice", "split": split, "source": "made up",
        "licence": "CC0", "scale": 0.25, "levels": levels, "known": known,
    }  # fmt: skip
    return MotionField(**(values | changes))


def pixels(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    at = torch.arange(size, dtype=torch.float64)
    y, x = torch.meshgrid(at, at, indexing="ij")
    return y, x


def test_without_a_turn_it_is_the_field() -> None:
    placement = Placement(((1.0, 0.0), (0.0, 1.0)), stretch=4.0, centre=(30.0, 40.0))
    motion = moved_like(field(), placement, 65, target=0.5)
    y, x = pixels(65)
    dy, dx = motion(y, x)
    row, column = (y - 32) / 4 + 30, (x - 32) / 4 + 40
    speed = 0.5 * torch.exp(-(((row - column + 10) / 8) ** 2))
    torch.testing.assert_close(dy, 0.6 * speed, rtol=0, atol=2e-3)
    torch.testing.assert_close(dx, 0.8 * speed, rtol=0, atol=2e-3)


@pytest.mark.parametrize(("angle", "mirror"), [(0.7, 1), (2.5, -1), (4.0, 1)])
def test_vectors_turn_with_the_ground(angle: float, mirror: int) -> None:
    """Displacement stays along the stream: what is at a node moves to the node it would reach."""
    c, s = math.cos(angle), math.sin(angle)
    placement = Placement(((c, -s), (mirror * s, mirror * c)), 5.0, (30.0, 40.0))
    y, x, dy, dx = torch.tensor([[3.0], [-2.0], [0.6], [0.8]], dtype=torch.float64)
    dy, dx = placement.on_image(dy, dx)
    before, after = placement.on_field(y, x), placement.on_field(y + dy, x + dx)
    assert float(after[0] - before[0]) == pytest.approx(0.6 / 5)
    assert float(after[1] - before[1]) == pytest.approx(0.8 / 5)


@pytest.mark.parametrize("seed", range(8))
def test_draws_are_invertible_and_as_fast_as_they_may(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = 128
    motion = measured(rng, size, [field()])
    y, x = pixels(size)
    dy, dx = motion(y, x)
    fastest = float(torch.hypot(dy, dx).max())
    assert 0.02 < fastest <= 33
    slopes = [d.diff(dim=axis).abs().max() for d in (dy, dx) for axis in (0, 1)]
    assert max(float(slope) for slope in slopes) <= 1.1 * STEEPEST
    py, px, found = origin_of(motion, y, x)
    assert bool(found.all())
    again = motion(py, px)
    assert float((py + again[0] - y).abs().max()) < 1e-6


def test_a_bank_keeps_fields(tmp_path: Path) -> None:
    own = field()
    bank.save(tmp_path / "b.npz", [], [own, field("test", name="other")])
    opened = Bank.open(tmp_path / "b.npz")
    first, second = opened.motions
    assert torch.equal(first.levels, own.levels)
    assert torch.equal(first.known, own.known)
    assert (first.name, first.scene, first.split, first.licence, first.scale) == (
        "ice/a_vx.tif", "ice", "train", "CC0", 0.25,
    )  # fmt: skip
    assert opened.motions_of("test") == (second,)
    assert opened.motions_of("validation") == ()


def test_recipes_use_fields_of_their_split_and_do_without() -> None:
    recipe = Recipe(size=48, motions=(("measured", 0.9), ("zero", 0.1)), real=0.0)
    kept = Bank((), (field("train"),))
    assert {draw(recipe, k, kept).family for k in range(4)} >= {"measured"}
    for nothing in (None, Bank((), (field("test"),))):
        assert {draw(recipe, k, nothing).family for k in range(3)} == {"zero"}
    only = Recipe(size=48, motions=(("measured", 1.0),))
    with pytest.raises(GroundshiftError, match="pack --motions"):
        draw(only, 0)


def test_what_was_not_measured_is_avoided() -> None:
    """Half of the field is a filled gap with the fastest motion."""
    smooth = random_field((80, 80), 0.8, 30, torch.Generator().manual_seed(0), smoothness=2.0)
    levels = (1000 * smooth).round().to(torch.int16)
    known = torch.zeros(80, 80, dtype=torch.bool)
    known[:, :50] = True
    gappy = field(levels=torch.stack([levels, levels]), known=known)
    # Placed by the same draws, an image lies on what was measured more often than by chance.
    from groundshift.synth.measured import _placement

    shares = []
    for seed in range(30):
        placement = _placement(np.random.default_rng(seed), 64, gappy)
        shares.append(placement.centre[1] < 50)
    assert np.mean(shares) > 0.85
