"""Sharpness must not tell the fraction of a pixel by which an image was moved."""

import pytest
import torch
from torch import Tensor

from groundshift.synth import Constant, optics
from groundshift.synth.optics import Optics
from groundshift.synth.radar import Radar, Surface, acquire

SIZE = 256
BANDS = 5
SHIFTS = (0.0, 0.25, 0.5)
TOLERANCE = 0.03
"""Of power in a band, relative: bilinear interpolation by half a pixel takes 50 % and more of the
upper bands."""


def band_powers(image: Tensor) -> Tensor:
    """Power in bands of spatial frequency along either axis, up to Nyquist."""
    taper = torch.hann_window(SIZE, dtype=torch.float64)
    plane = (image.double() - image.double().mean()) * taper[:, None] * taper
    power = torch.fft.fft2(plane).abs() ** 2
    f = torch.fft.fftfreq(SIZE, dtype=torch.float64).abs()
    band = (torch.maximum(f[:, None], f) * 2 * BANDS).long().clamp(max=BANDS - 1)
    return torch.zeros(BANDS, dtype=torch.float64).index_add_(0, band.flatten(), power.flatten())


def ratios(pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Power of the secondary relative to that of the reference, in each band."""
    first, second = (torch.stack([band_powers(pair[k]) for pair in pairs]).sum(0) for k in (0, 1))
    return second / first


def assert_alike(by_shift: list[Tensor]) -> None:
    for ratio in by_shift:
        assert ratio.tolist() == pytest.approx([1] * BANDS, abs=TOLERANCE)


@pytest.mark.parametrize("spread", [0.45, 0.6, 0.9])
def test_optics(spread: float) -> None:
    """On white ground, the worst that there is."""
    camera = Optics(spread=(spread, spread), noise=(0.0, 0.0))
    n = SIZE * camera.fine + 2 * optics.MARGIN
    rough = torch.randn(n, n, generator=torch.Generator().manual_seed(1))
    found = []
    for shift in SHIFTS:
        pairs = []
        for seed in range(3):
            generator = torch.Generator().manual_seed(seed)
            pair = optics.acquire(camera, (rough, rough), Constant(shift, shift), SIZE, generator)
            pairs.append((pair.reference, pair.secondary))
        found.append(ratios(pairs))
    assert_alike(found)


@pytest.mark.parametrize(
    "radar",
    [Radar(0.4), Radar(0.5, 0.73, looks=5), Radar(0.8, fine=2), Radar(0.8, fine=2, average=True)],
    ids=["kept", "ground range", "aliased", "averaged"],
)
def test_radar(radar: Radar) -> None:
    one = torch.ones(())
    surface = Surface(one, one, one, torch.tensor(0j))
    found = []
    for shift in SHIFTS:
        pairs = []
        for seed in range(4):
            generator = torch.Generator().manual_seed(seed)
            pair = acquire(radar, surface, Constant(shift, shift), SIZE, generator)
            pairs.append((pair.reference, pair.secondary))
        found.append(ratios(pairs))
    assert_alike(found)


def test_bilinear_interpolation_would_be_found_out() -> None:
    generator = torch.Generator().manual_seed(0)
    pair = acquire(
        Radar(0.4),
        Surface(torch.ones(()), torch.ones(()), torch.ones(()), torch.tensor(0j)),
        Constant(), SIZE, generator,
    )  # fmt: skip
    rows = (pair.secondary + pair.secondary.roll(1, 0)) / 2
    blurred = (rows + rows.roll(1, 1)) / 2
    assert float(ratios([(pair.reference, blurred)])[-1]) < 0.5
