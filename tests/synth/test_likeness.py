"""What two optical dates have in common, against laws and a slow oracle; and what follows."""

import math

import numpy as np
import pytest
import torch

from groundshift.synth import Constant, optics, radar
from groundshift.synth.likeness import ALIKE, DETAIL, EXACT, WINDOW, backscatter_likeness, likeness
from groundshift.synth.optical_scene import Scene, photographed
from groundshift.synth.optics import MARGIN, Optics
from groundshift.synth.radar import Radar, Surface, acquire

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
    wide = WINDOW + 2
    squares = np.zeros((2, wide, wide))
    for date in range(2):
        for i in range(wide):
            for j in range(wide):
                row, column = (a + MARGIN // 2 + b - wide // 2 for a, b in ((y, i), (x, j)))
                half = DETAIL // 2
                around = seen[date][row - half : row + half + 1, column - half : column + half + 1]
                squares[date, i, j] = seen[date][row, column] - around.mean()
    slopes = [np.array(np.gradient(square))[:, 1:-1, 1:-1] for square in squares]
    tensor = np.einsum("aij,bij->ab", *slopes)
    worst, best = np.linalg.eigvalsh((tensor + tensor.T) / 2)
    squares = squares[:, 1:-1, 1:-1]
    step = 6 * contrast / 64
    noise = [(n * contrast) ** 2 + step**2 / 12 for n in (math.hypot(0.1, 0.05), 0.2)]
    powers = [(square**2).mean() + n for square, n in zip(squares, noise, strict=True)]
    power, common = math.sqrt(powers[0] * powers[1]), (squares[0] * squares[1]).mean()
    weak = common * 2 * worst / (worst + best)
    expected = weak / (weak + power - common + EXACT * power)
    assert float(found[y, x]) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_it_is_the_correlation(share: float):
    one, two = ground(3, 128), ground(4, 128)
    found = likeness(CLEAN, (one, share * one + math.sqrt(1 - share**2) * two))
    assert share - 0.1 < float(found.mean()) < share + 0.01  # the worst direction is below


def test_light_does_not_matter_but_noise_does():
    one = ground(5)
    assert float(likeness(CLEAN, (one, 0.1 * one)).min()) > 0.998
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


@pytest.mark.parametrize(("across", "measurable"), [(0.0, False), (0.001, False), (0.3, True)])
def test_stripes_cannot_be_located_along_themselves(across: float, measurable: bool):
    n = 2 * SIZE + 2 * MARGIN
    at = torch.arange(n) * (2 * math.pi / 20)
    stripes = torch.sin(0.8 * at[:, None] + 0.6 * at)
    plane = stripes + across * ground(7)
    found = likeness(Optics(noise=(0.02, 0.02)), (plane, plane))
    assert (found > ALIKE).all() == measurable
    assert (found > ALIKE).any() == measurable


@pytest.mark.parametrize("product", [Radar(0.4), Radar(0.5, looks=4), Radar(0.8, fine=2)])
@pytest.mark.parametrize("texture", [0.0, 1.0])
def test_backscatter_is_as_alike_as_the_intensities_of_many_draws(product: Radar, texture: float):
    n = SIZE * product.fine + 2 * radar.MARGIN
    rough = torch.exp(texture * ground(8, n)[:n, :n])
    changed = torch.exp(texture * (0.8 * ground(8, n)[:n, :n] + 0.6 * ground(9, n)[:n, :n]))
    nothing = torch.zeros(n, n, dtype=torch.complex64)
    surface = Surface(torch.tensor(0.5), rough, changed, nothing)
    found = backscatter_likeness(product, surface)
    assert found.shape == (SIZE, SIZE)
    pairs = [
        acquire(product, surface, Constant(0, 0), SIZE, torch.Generator().manual_seed(seed))
        for seed in range(40)
    ]
    dates = [
        torch.stack([getattr(pair, name) for pair in pairs]).double().square()
        for name in ("reference", "secondary")
    ]
    # The means over draws are what is expected; the rest of each draw is speckle.
    means = [date.mean(0) for date in dates]
    speckles = [date - mean for date, mean in zip(dates, means, strict=True)]
    details = [mean - _blurred(mean) for mean in means]
    inner = (..., slice(12, -12), slice(12, -12))

    def over(one: torch.Tensor, other: torch.Tensor) -> float:
        return float((one * other)[inner].mean())

    parts = [
        over(details[i], details[j]) + over(speckles[i], speckles[j])
        for i, j in ((0, 1), (0, 0), (1, 1))
    ]
    expected = parts[0] / math.sqrt(parts[1] * parts[2])
    assert float(found[inner].mean()) == pytest.approx(expected, abs=0.06)
    if not texture:
        assert expected == pytest.approx(0.25, abs=0.03)


def _blurred(plane: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(plane[None], DETAIL, 1, DETAIL // 2)[0]
