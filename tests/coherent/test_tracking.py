"""Displacement and coherence from one pass: both right, and without a trace of tiles."""

import numpy as np
import pytest
import torch

import groundshift
from groundshift.cli import report
from groundshift.coherent import Calibrated, Pearson, Speckle, Tracking, Windowed
from groundshift.errors import GroundshiftError
from groundshift.matchers import NCC
from groundshift.matchers.whole import match_whole, run_whole
from groundshift.synth import sentinel1
from groundshift.synth.motions import Constant
from groundshift.synth.radar import Surface, acquire
from groundshift.tile import map_pair

SIZE = 256


@pytest.fixture(scope="module")
def pair():
    """Ground that moved by (3, -5) px, coherent above and less so below."""
    radar = sentinel1.grd()
    n = SIZE * radar.fine + 64
    gamma = torch.full((n, n), 0.95)
    gamma[n // 2 :] = 0.7
    one = torch.tensor(1.0)
    ground = Surface(gamma, one, one, one * 0j)
    generator = torch.Generator().manual_seed(3)
    found = acquire(radar, ground, Constant(3.0, -5.0), SIZE, generator)
    return found.reference, found.secondary


@pytest.fixture(scope="module")
def operator():
    speckle = Speckle(4.87, (0.6, 0.5))
    return Tracking(NCC(32, 8, 8), Calibrated(Windowed(Pearson(), 15), speckle))


def test_both_are_measured(pair, operator):
    found = run_whole(operator, *pair)
    alone = match_whole(operator.matcher, *pair)
    for one, other in zip(found, alone, strict=False):
        assert torch.equal(torch.nan_to_num(one), torch.nan_to_num(other))
    still = run_whole(operator.operator, *pair).coherence
    above, below = (slice(2, 13), slice(2, -2)), (slice(19, -2), slice(2, -2))
    assert float(found.coherence[above].nanmean()) == pytest.approx(0.95, abs=0.06)
    assert float(found.coherence[below].nanmean()) == pytest.approx(0.7, abs=0.12)
    assert float(still[20:-20, 20:-20].nanmean()) < 0.4  # not seen through the displacement
    assert float(found.sigma_coherence[below].nanmean()) > 0.02


@pytest.mark.parametrize("stride", [4, 8])
def test_tiles_leave_no_trace(pair, operator, stride):
    operator = Tracking(NCC(32, 6, stride), operator.operator)
    reference, secondary = (image[:144, :96].clone() for image in pair)
    reference[60:90, 30:60] = torch.nan  # gaps are filled from around
    whole = run_whole(operator, reference, secondary)
    tiled = map_pair(operator, reference.numpy(), secondary.numpy(), tile=48)
    for one, other in zip(whole, tiled, strict=True):
        np.testing.assert_allclose(other.compute(), one.numpy(), atol=2e-4)


def test_the_verb_adds_it(pair, tmp_path):
    images = [image.numpy() for image in pair]
    matcher, options = NCC(32, 8, 8), {"radiometry": "amplitude"}
    found = groundshift.track(*images, matcher, coherence="pearson", **options)
    assert list(found.data_vars)[-2:] == ["coherence", "sigma_coherence"]
    groundshift.save(found, tmp_path / "motion.tif")
    written = groundshift.open_field(tmp_path / "motion.tif")
    assert float(written.coherence[2:13, 2:-2].mean()) == pytest.approx(0.95, abs=0.06)
    assert any(line.startswith("coherence   median 0.") for line in report.summary(written))
    without = groundshift.track(*images, matcher, **options).compute()
    np.testing.assert_allclose(written.dx.values, without.dx.values, atol=1e-5)
    with pytest.raises(GroundshiftError, match="look optical"):
        groundshift.track(*images, coherence="pearson", radiometry="optical")
    with pytest.raises(GroundshiftError, match="is not for tracking"):
        groundshift.track(*images, coherence="complex", radiometry="amplitude")
