"""What two optical dates have in common, against laws and a slow oracle; and what follows."""

import math

import numpy as np
import pytest
import torch

from groundshift.synth import Constant, optics
from groundshift.synth.likeness import DETAIL, WINDOW, likeness
from groundshift.synth.optical_scene import Scene, photographed
from groundshift.synth.optics import MARGIN, Optics

SIZE = 64
CLEAN = Optics(noise=(0.0, 0.0))


def ground(seed: int = 0, size: int = SIZE) -> torch.Tensor:
    n = 2 * size + 2 * MARGIN
    return torch.randn(n, n, generator=torch.Generator().manual_seed(seed))


def test_the_slow_way():
    camera = Optics(spread=(0.6, 0.8), noise=(0.1, 0.2), stripes=(0.05, 0.0), levels=64)
    first, second = ground(1), 0.5 * ground(1) + ground(2)
    found = likeness(camera, (first, second))
    assert found.shape == (SIZE, SIZE)
    seen = []
    for plane, spread in ((first, 0.6), (second, 0.8)):
        image = optics.blurred(plane, 2 * spread).numpy()
        seen.append((image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4)
    contrast = seen[0].std()
    y, x = 20, 41
    squares = np.zeros((2, WINDOW, WINDOW))
    for date in range(2):
        for i in range(WINDOW):
            for j in range(WINDOW):
                row, column = (a + MARGIN // 2 + b - WINDOW // 2 for a, b in ((y, i), (x, j)))
                half = DETAIL // 2
                around = seen[date][row - half : row + half + 1, column - half : column + half + 1]
                squares[date, i, j] = seen[date][row, column] - around.mean()
    step = 6 * contrast / 64
    noise = [(n * contrast) ** 2 + step**2 / 12 for n in (math.hypot(0.1, 0.05), 0.2)]
    powers = [(square**2).mean() + n for square, n in zip(squares, noise, strict=True)]
    expected = (squares[0] * squares[1]).mean() / math.sqrt(powers[0] * powers[1])
    assert float(found[y, x]) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_it_is_the_correlation(share: float):
    one, two = ground(3, 128), ground(4, 128)
    found = likeness(CLEAN, (one, share * one + math.sqrt(1 - share**2) * two))
    assert float(found.mean()) == pytest.approx(share, abs=0.03)


def test_light_does_not_matter_but_noise_does():
    one = ground(5)
    assert float(likeness(CLEAN, (one, 0.1 * one)).min()) > 0.999
    assert float(likeness(Optics(noise=(0.0, 0.5)), (one, 0.1 * one)).max()) < 0.4


@pytest.mark.parametrize(("noise", "measurable"), [(0.001, True), (0.5, False)])
def test_shade_can_be_measured_unless_noise_hides_it(noise: float, measurable: bool):
    """To the left of the middle ground lies in shade at the second date."""
    first = 5 + ground(6)
    hidden = torch.zeros_like(first)
    hidden[:, : len(first) // 2] = 1.0
    scene = Scene(first, torch.where(hidden > 0, 0.05, 1.0) * first, hidden, None)
    camera = Optics(noise=(noise, noise))
    sample = photographed(scene, camera, Constant(0, 0), SIZE, torch.Generator().manual_seed(0))
    inner = slice(16, -16)
    assert not sample.valid[inner, : SIZE // 2 - 16].any()
    assert sample.valid[inner, SIZE // 2 + 16 : -16].all()
    assert bool(sample.measurable[inner, : SIZE // 2 - 16].float().mean() > 0.9) == measurable
    assert sample.measurable[inner, SIZE // 2 + 16 : -16].all()
