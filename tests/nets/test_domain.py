"""What images show in a few numbers, and which of them are strange."""

import pytest
import torch

from groundshift.nets.domain import UNLIMITED, span_of, statistics, strange, windows_of
from groundshift.synth.motions import Constant
from groundshift.synth.sample import speckle_sample


def speckle(**how):
    return speckle_sample(Constant(), size=256, coherence=0.9, seed=3, **how).reference


def seen(image):
    found = statistics(windows_of(image))
    assert found is not None
    return found


def test_windows_are_whole_and_known():
    image = torch.arange(50.0 * 70).reshape(50, 70)
    image[30, 10] = torch.nan
    windows = windows_of(image)
    assert windows.shape == (5, 22 * 22)
    assert torch.equal(windows[1].reshape(22, 22), image[:22, 22:44])


def test_single_look_speckle_scatters_by_half_its_mean():
    found = seen(speckle())
    assert found.scatter == pytest.approx(0.52, abs=0.06)
    assert 1000 < found.steps <= UNLIMITED


def test_white_noise_and_its_blur_are_told_by_their_neighbours():
    noise = torch.randn(256, 256, generator=torch.Generator().manual_seed(1)) + 10
    assert seen(noise).neighbour == pytest.approx(0, abs=0.02)
    blurred = (noise + noise.roll(1, 0) + noise.roll(1, 1) + noise.roll((1, 1), (0, 1))) / 4
    assert seen(blurred).neighbour == pytest.approx(0.5, abs=0.03)


def test_bits_are_counted_in_steps():
    image = speckle()
    image = 100 * image / image.std()
    assert seen(image.round()).steps == pytest.approx(100, rel=0.2)
    assert seen((image / 20).round()).steps == pytest.approx(5, rel=0.2)


def test_an_image_of_nothing_has_none():
    assert statistics(windows_of(torch.full((100, 100), 2.0))) is None
    assert strange(None, {"scatter": (0.1, 0.2)}) == []


def test_strange_is_what_lies_outside_and_too_few_bits_but_not_too_many():
    image = speckle()
    span = span_of([image, (100 * image / image.std()).round()])
    assert strange(seen(image), span) == []
    assert any("relative scatter" in said for said in strange(seen(image.mean() * 9 + image), span))
    coarse = seen((2 * image / image.std()).round())
    assert any("grey levels" in said for said in strange(coarse, span))
    finer = seen(image)._replace(steps=1e9)
    assert strange(finer, {**span, "steps": (5.0, 10.0)}) == []


def test_of_no_images_there_is_no_span():
    assert span_of([]) == {}
    assert span_of([torch.zeros(64, 64)]) == {}


def test_one_strange_image_of_many_does_not_widen_a_span():
    usual = [speckle().roll(k, 0) for k in range(100)]
    odd = speckle() * 1e-3 + 1.0
    assert any("scatter" in said for said in strange(seen(odd), span_of([*usual, odd])))
    assert strange(seen(odd), span_of([*usual[:50], odd])) == []
