"""Images that are larger than what a bank has to show."""

import numpy as np
import pytest
import torch

from groundshift.errors import GroundshiftError
from groundshift.synth.bank import Bank, Scale, Stack
from groundshift.synth.recipe import Recipe, draw
from groundshift.synth.texture import Texture


def bank(side: int) -> Bank:
    y, x = np.mgrid[:side, :side]
    levels = torch.from_numpy((10 + y + 2 * x).astype(np.uint8))[None]
    return Bank(
        (Stack("a", "a", "optical", "train", "", "CC0", "", ("0",),
               (Scale("linear", 0.0, 1.0),), levels),)
    )  # fmt: skip


@pytest.mark.parametrize("times", [1, 2, 3, 4, 7, 8])
def test_a_small_place_is_enlarged_as_needed(times: int) -> None:
    crop = Texture(bank(16)).crops(16 * times, "optical", np.random.default_rng(0))
    assert crop.shape == (1, 16 * times, 16 * times)
    # A plane stays one: its slope shrinks by the next power of two.
    scale = 1 << (times - 1).bit_length()
    inner = crop[0, 2 * scale : -2 * scale, 2 * scale : -2 * scale]
    torch.testing.assert_close(inner.diff(dim=1).mean(), torch.tensor(2 / scale), rtol=0.1, atol=0)


def test_nothing_is_enlarged_without_end() -> None:
    with pytest.raises(GroundshiftError, match="pack more images"):
        Texture(bank(16)).crops(129, "optical", np.random.default_rng(0))


def test_what_a_bank_does_not_have_is_invented() -> None:
    assert Texture(bank(16)).crops(32, "reflectivity", np.random.default_rng(0)) is None
    holes = bank(64)
    holes.stacks[0].levels[:, ::8, ::8] = 0
    assert Texture(holes).crops(64, "optical", np.random.default_rng(0)) is None
    recipe = Recipe(64, motions=(("constant", 1.0),), plain=0, real=1)
    assert all(bool(draw(recipe, k, holes).sample.valid.any()) for k in range(6))
