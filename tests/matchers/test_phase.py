"""Phase correlation on clean texture, and what it refuses."""

import pytest
import torch
from test_lsm import shifted, texture

from groundshift.errors import MatcherError
from groundshift.matchers import PhaseCorrelation
from pairs import inner, match


def test_clean_texture() -> None:
    spectrum = texture(256, 1)
    images = shifted(spectrum, 0, 0), shifted(spectrum, -2.61, 1.37)
    found = match(PhaseCorrelation(window=64, stride=16), *images)
    for plane, truth in ((found.dy, -2.61), (found.dx, 1.37)):
        assert (inner(plane, 3) - truth).abs().mean() < 0.004


def test_illumination_does_not_matter() -> None:
    spectrum = texture(192, 2)
    first, second = shifted(spectrum, 0, 0), shifted(spectrum, 0.4, -0.3)
    light = torch.linspace(0.5, 2, 192)[:, None]
    found = match(PhaseCorrelation(window=64, stride=32), first, second * light)
    assert (inner(found.dy, 2) - 0.4).abs().max() < 0.05


def test_too_small_a_window_is_refused() -> None:
    with pytest.raises(MatcherError, match="use 16 or more"):
        PhaseCorrelation(window=8, stride=8)
