"""Random pairs: whole, repeatable, and true."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from groundshift.errors import GroundshiftError
from groundshift.synth import optics, sentinel1
from groundshift.synth.bank import Bank, Stack
from groundshift.synth.decorrelation import gradient_norm
from groundshift.synth.families import FAMILIES
from groundshift.synth.levels import Scale
from groundshift.synth.motions import Constant, Fault, Scaled, Sum, distance_of, visible
from groundshift.synth.recipe import Recipe, check, draw, motion_of

EACH = (*FAMILIES, "volcano")


@pytest.mark.parametrize("sensor", ["radar", "optical"])
@pytest.mark.parametrize("family", EACH)
def test_every_family_on_every_sensor(family: str, sensor: str) -> None:
    recipe = Recipe(size=64, motions=((family, 1.0),), radar=float(sensor == "radar"))
    found = draw(recipe, 3)
    assert (found.family, found.sensor) == (family, sensor)
    sample = found.sample
    for plane in (sample.reference, sample.secondary, sample.dy, sample.dx):
        assert plane.shape == (64, 64)
        assert plane.dtype == torch.float32
        assert bool(torch.isfinite(plane).all())
    assert sample.valid.dtype == torch.bool
    assert math.isnan(sample.bandwidth) == (sensor == "optical")
    assert float(sample.reference.std()) > 0


def test_products_of_sentinel1() -> None:
    recipe = Recipe(size=64, motions=(("offset", 1.0),), radar=1.0, products="sentinel1")
    found = [draw(recipe, index).sample for index in range(12)]
    known = [
        each(swath).mean_bandwidth for each in (sentinel1.slc, sentinel1.grd) for swath in (1, 2, 3)
    ]
    shown = {min(known, key=lambda b, own=sample.bandwidth: abs(b - own)) for sample in found}
    assert len(shown) > 3
    for sample in found:
        assert min(abs(sample.bandwidth - each) for each in known) < 1e-6
        assert 0 < float(torch.hypot(sample.dy, sample.dx).max()) <= math.hypot(2, 2)
    with pytest.raises(GroundshiftError, match="choose one of mixed, sentinel1"):
        Recipe(products="envisat")


def bank_with(dates: int) -> Bank:
    """One optical place on so many dates."""
    generator = torch.Generator().manual_seed(dates)
    levels = torch.randint(1, 256, (dates, 200, 200), generator=generator, dtype=torch.uint8)
    names = tuple(map(str, range(dates)))
    scales = (Scale("linear", 0.0, 1.0),) * dates
    stack = Stack("a", "a", "optical", "train", "", "CC0", "", names, scales, levels)
    return Bank((stack,))


@pytest.mark.parametrize("bank", [None, bank_with(2)], ids=["invented", "bank"])
def test_some_pairs_have_a_second_date_and_some_have_not(bank, monkeypatch) -> None:
    same = []
    acquire = optics.acquire

    def watched(camera, ground, *arguments):
        same.append(torch.equal(*ground))
        return acquire(camera, ground, *arguments)

    monkeypatch.setattr(optics, "acquire", watched)
    recipe = Recipe(size=32, motions=(("zero", 1.0),), radar=0.0, real=1.0, dates=0.5)
    for index in range(24):
        draw(recipe, index, bank)
    assert 2 <= sum(same) <= 18


def test_truth_is_what_the_scanner_shows_and_the_ground_is_known_apart() -> None:
    recipe = Recipe(size=48, motions=(("constant", 1.0),), radar=0.0)
    at = torch.arange(48, dtype=torch.float64)
    y, x = torch.meshgrid(at, at, indexing="ij")
    disturbed = 0
    for index in range(16):
        found = draw(recipe, index)
        dy, dx = found.motion(y, x)
        torch.testing.assert_close(found.sample.dy, dy.float(), rtol=0, atol=0)
        torch.testing.assert_close(found.sample.dx, dx.float(), rtol=0, atol=0)
        assert isinstance(found.ground, Constant)
        disturbed += found.motion is not found.ground
    assert 1 <= disturbed <= 12


def test_an_earthquake_knows_its_fault() -> None:
    sample = draw(Recipe(size=96, motions=(("earthquake", 1.0),), radar=1.0), 0).sample
    assert float(torch.hypot(sample.dy, sample.dx).max()) > 0


def test_a_sample_is_the_same_whoever_draws_it() -> None:
    recipe = Recipe(size=48)
    first, again, other = draw(recipe, 7), draw(recipe, 7), draw(recipe, 8)
    for a, b in zip(first.sample, again.sample, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(first.sample.reference, other.sample.reference)
    test = draw(Recipe(size=48, split="test"), 7)
    assert not torch.equal(first.sample.reference, test.sample.reference)


def test_what_a_closing_fault_hides_is_not_valid() -> None:
    """Two sides that move towards each other by 2 px in all cover a strip 2 px wide."""
    fault = Fault(slip=2.0, centre=(32.0, 31.5), strike=0.0, depth=1e9)

    def closing(y: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        side, _ = fault(y, x)
        return torch.zeros_like(y), -side

    at = torch.arange(64, dtype=torch.float64)
    y, x = torch.meshgrid(at, at, indexing="ij")
    distance = fault.distance(y, x).abs()
    seen = visible(closing, y, x, distance)
    assert bool(seen[:, :28].all())
    assert bool(seen[:, 36:].all())
    assert 1 <= float((~seen).sum(1).double().mean()) <= 4


def test_distances_are_those_to_the_nearest_jump() -> None:
    faults = tuple(Fault(1.0, (0.0, c), strike=0.0) for c in (10.0, 30.0))
    x = torch.tensor([8.0, 22.0, 35.0], dtype=torch.float64)
    y = torch.zeros_like(x)
    found = distance_of(Sum((Constant(1.0), *faults)), y, x)
    assert found.tolist() == pytest.approx([2, 8, 5])
    assert math.isinf(float(distance_of(Constant(), y, x)[0]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"motions": (("glaciers", 1.0),)}, "did you mean 'glacier'"),
        ({"motions": (("zero", 0.0),)}, "give one family at least"),
        ({"split": "dev"}, "choose one of train"),
        ({"size": 8}, "size=16 or more"),
        ({"radar": 1.5}, "radar=1.5 is no share"),
        ({"coherence": (0.9, 0.2)}, "no range within 0 to 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused_at_once(values: dict, message: str) -> None:
    with pytest.raises(GroundshiftError, match=message):
        Recipe(**values)


def test_earthquakes_and_volcanoes_move_what_can_be_seen() -> None:
    at = torch.linspace(0, 63, 33, dtype=torch.float64)
    y, x = torch.meshgrid(at, at, indexing="ij")
    recipe = Recipe(size=64, moved=(0.5, 2.0), spacing=(30.0, 30.0))
    scaled = 0
    for index in range(6):
        for family in ("earthquake", "volcano"):
            rng = np.random.default_rng(index)
            motion = motion_of(family, rng, recipe)
            largest = float(torch.hypot(*motion(y, x)).max())
            assert 0.5 - 1e-9 <= largest <= 2 + 1e-9
            if isinstance(motion, Scaled):
                scaled += 1
                assert torch.equal(motion.distance(y, x), distance_of(motion.motion, y, x))
    assert scaled


def test_a_recipe_of_measured_fields_alone_needs_some() -> None:
    check(Recipe(), None)
    with pytest.raises(GroundshiftError, match="pack one with"):
        check(Recipe(motions=(("measured", 1.0), ("zero", 0.0))), None)


@pytest.mark.parametrize(
    ("name", "values"),
    [("spacing", (0.0, 30.0)), ("spacing", (30.0, 1.0)), ("moved", (0.3, math.inf))],
)
def test_ranges_are_ranges(name: str, values: tuple[float, float]) -> None:
    with pytest.raises(GroundshiftError, match="is no range within"):
        Recipe(**{name: values})


@pytest.mark.parametrize("sensor", ["radar", "optical"])
def test_lost_pairs_cannot_be_measured(sensor: str) -> None:
    recipe = Recipe(size=64, radar=float(sensor == "radar"), motions=(("zero", 1.0),), lost=1.0)
    found = [draw(recipe, index).sample for index in range(12)]
    assert all(sample.valid.float().mean() > 0.5 for sample in found if sensor == "radar")
    if sensor == "radar":
        assert all(float(sample.coherence.median()) <= 0.3 for sample in found)
        assert sum(not sample.measurable.any() for sample in found) >= 6
    else:
        assert not any(sample.measurable.any() for sample in found)
    alike = [correlation(sample) for sample in found]
    assert np.median(np.abs(alike)) < 0.15
    others = [
        correlation(draw(replace(recipe, lost=0.0, coherence=(0.7, 1.0)), i).sample)
        for i in range(12)
    ]
    assert np.median(others) > 0.3


def correlation(sample) -> float:
    pair = np.stack([sample.reference.numpy().ravel(), sample.secondary.numpy().ravel()])
    return float(np.corrcoef(pair)[0, 1])


def test_what_is_bright_can_be_followed_without_coherence() -> None:
    recipe = Recipe(size=96, radar=1.0, plain=0.0, motions=(("zero", 1.0),), coherence=(0.0, 0.0))
    found = [draw(recipe, index).sample for index in range(16)]
    incoherent = [sample for sample in found if float(sample.coherence.median()) < 0.15]
    assert len(incoherent) >= 4
    assert any(float(sample.measurable.float().mean()) > 0.3 for sample in incoherent)


def test_outlets_are_narrow_and_steep() -> None:
    y, x = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    steepest, fast = [], []
    for seed in range(30):
        motion = motion_of("outlet", np.random.default_rng(seed), Recipe(size=256))
        dy, dx = motion(y.double(), x.double())
        steepest.append(float(gradient_norm(dy, dx, 1.0).max()))
        speed = torch.hypot(dy, dx)
        fast.append(float((speed > 0.3 * speed.max()).float().mean()))
    assert np.median(steepest) > 0.3
    assert max(steepest) < 3
    assert np.median(fast) < 0.45


def test_of_the_same_date_all_pairs_are_alike_under_their_motion() -> None:
    recipe = Recipe(size=128, radar=0.0, lost=0.0, same=1.0, motions=(("zero", 1.0),))
    alike = []
    for index in range(6):
        sample = draw(recipe, index).sample
        seen = sample.valid
        both = torch.stack([sample.reference[seen], sample.secondary[seen]])
        alike.append(float(torch.corrcoef(both)[0, 1]))
    assert min(alike) > 0.8
    assert sum(alike) / 6 > 0.95


def test_patches_of_coherence():
    recipe = Recipe(size=96, radar=1.0, plain=1.0, lost=0.0, motions=(("zero", 1.0),))
    even = [draw(recipe, k).sample.coherence for k in range(4)]
    assert max(float(plane.std()) for plane in even) < 1e-5
    patchy = replace(recipe, patchy=1.0, coherence=(0.0, 1.0))
    planes = [draw(patchy, k).sample.coherence for k in range(12)]
    assert sum(float(plane.std()) > 0.15 for plane in planes) >= 6
    assert all(0 <= float(plane.min()) <= float(plane.max()) <= 1 for plane in planes)
    with pytest.raises(GroundshiftError, match="patchy=2 is no share"):
        Recipe(patchy=2)


def test_amplitudes_of_whole_numbers():
    recipe = Recipe(size=64, radar=1.0, quantised=1.0, motions=(("zero", 1.0),))
    whole = [draw(recipe, k).sample for k in range(6)]
    for sample in whole:
        for image in (sample.reference, sample.secondary):
            assert torch.equal(image, image.round())
            assert float(image.min()) >= 1
        assert 14 < float(sample.reference.mean()) < 510
    even = replace(recipe, quantised=0.0)
    other = draw(even, 0).sample.reference
    assert not torch.equal(other, other.round())


def test_texture_on_ground_without_patches():
    recipe = Recipe(size=96, radar=1.0, plain=1.0, lost=0.0, motions=(("zero", 1.0),))
    scatter = []
    for each in (recipe, replace(recipe, textured=1.0)):
        images = [draw(each, k).sample.reference for k in range(10)]
        scatter.append(sum(float((image.std() / image.mean()) ** 2) for image in images) / 10)
    assert scatter[1] > 1.3 * scatter[0]
