"""Streams: the same samples in the same order, whoever renders them."""

from dataclasses import replace

import pytest
import torch

from groundshift.errors import GroundshiftError
from groundshift.synth import radar
from groundshift.synth.motions import Waves
from groundshift.synth.radar import Radar, Surface
from groundshift.synth.recipe import Recipe, draw
from groundshift.synth.rendering import one_thread
from groundshift.synth.stream import SENSORS, Stream

CHEAP = Recipe(
    size=32, motions=(("zero", 1.0), ("constant", 1.0), ("bowl", 1.0)), plain=0.5, radar=0.7
)


def same(one, other) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=0, equal_nan=True)


def test_items_are_what_is_drawn() -> None:
    stream = Stream(CHEAP, start=5, stop=9)
    items = list(stream)
    assert [int(item["index"]) for item in items] == [5, 6, 7, 8]
    for item in items:
        with one_thread():
            found = draw(CHEAP, int(item["index"]))
        assert torch.equal(item["reference"], found.sample.reference)
        assert torch.equal(item["motion"], torch.stack([found.sample.dy, found.sample.dx]))
        assert stream.families[item["family"]] == found.family
        assert SENSORS[item["sensor"]] == found.sensor
        assert item["valid"].dtype == torch.bool


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_the_workers(workers: int) -> None:
    stream = Stream(CHEAP, batch=2, stop=7)
    alone, together = list(stream.loader(0)), list(stream.loader(workers))
    assert [batch["index"].tolist() for batch in alone] == [[0, 1], [2, 3], [4, 5], [6]]
    for one, other in zip(alone, together, strict=True):
        same(one, other)


def test_training_goes_on_where_it_was() -> None:
    whole = list(Stream(CHEAP, batch=3, stop=9).loader(0))
    rest = list(Stream(CHEAP, batch=3, start=3, stop=9).loader(2))
    for one, other in zip(whole[1:], rest, strict=True):
        same(one, other)


def test_ranks_share_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    found = []
    for rank in (0, 1):
        monkeypatch.setenv("RANK", str(rank))
        stream = Stream(replace(CHEAP, size=16), batch=2, stop=8)
        found.append([batch["index"].tolist() for batch in stream.loader(0)])
    assert found == [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]


def test_without_an_end() -> None:
    stream = iter(Stream(replace(CHEAP, size=16)))
    assert [int(next(stream)["index"]) for _ in range(3)] == [0, 1, 2]


def test_a_curriculum() -> None:
    later = replace(CHEAP, size=48, motions=(("ramp", 1.0),))
    stream = Stream([(0, CHEAP), (2, later)], stop=4)
    items = list(stream)
    assert [item["reference"].shape[0] for item in items] == [32, 32, 48, 48]
    assert stream.families == ("zero", "constant", "bowl", "ramp")
    assert stream.families[items[3]["family"]] == "ramp"
    same(items[3], {**next(iter(Stream(later, start=3))), "family": items[3]["family"]})


@pytest.mark.parametrize(
    ("phases", "options", "message"),
    [
        ([(1, CHEAP)], {}, "begin at 0"),
        ([(0, CHEAP), (0, CHEAP)], {}, "begin at 0"),
        ([(0, CHEAP), (3, replace(CHEAP, size=64))], {"batch": 2}, "multiple of batch=2"),
        (CHEAP, {"start": -1}, "start=0 or more"),
        (CHEAP, {"share": (2, 2)}, "ranks count from 0"),
    ],
)
def test_remedies(phases, options, message: str) -> None:
    with pytest.raises(GroundshiftError, match=message):
        Stream(phases, **options)


def test_the_number_of_threads_changes_nothing() -> None:
    recipe = Recipe(size=192, motions=(("ramp", 1.0),), radar=1.0, plain=0.0)
    assert torch.get_num_threads() == 1
    alone = next(iter(Stream(recipe)))
    torch.set_num_threads(2)
    try:
        same(alone, next(iter(Stream(recipe))))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("device", ["cuda"])
def test_devices_agree_on_the_same_noise(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The random streams of devices differ: both are given the same numbers."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA here")

    def rendered(where: str):
        source = torch.Generator().manual_seed(1)
        monkeypatch.setattr(
            radar,
            "_white",
            lambda shape, _: torch.randn(shape, dtype=torch.complex64, generator=source).to(where),
        )
        one = torch.ones((), device=where)
        surface = Surface(0.7 * one, one, one, torch.zeros((), device=where).to(torch.complex64))
        motion = Waves((2.0, 3.0), (80.0, 60.0))
        return radar.acquire(Radar(), surface, motion, 96, torch.Generator(where))

    for one, other in zip(rendered("cpu"), rendered(device), strict=True):
        torch.testing.assert_close(one.double(), other.cpu().double(), rtol=0, atol=1e-3)
