"""A pool of rendered samples: each is used several times, in other company and orientation.

Rendering costs more than a training step. What is in the pool at a step, and what is drawn from
it, follows from the step alone, so that training that stopped goes on with the same batches.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from groundshift.matchers.presets import WHITEN
from groundshift.matchers.prior import as_prior
from groundshift.matchers.whole import match_whole
from groundshift.nets.guess import filled
from groundshift.nets.refine import guessing
from groundshift.synth.stream import Item, Stream
from groundshift.train.config import TrainConfig

if TYPE_CHECKING:
    from groundshift.train.folder import Folder
    from groundshift.train.stored import Stored

SEARCHES = (4, 8, 16, 32, 64)
"""Pixels, of the search before the net."""
USUAL = 32
"""Every third sample is searched as far as this, as users do who do not know how far to look."""
VECTORS = ("motion", "found")
MASKS = ("valid", "measurable")
PLANES = ("reference", "secondary", "coherence", "distance", *MASKS, *VECTORS)


@dataclass
class Pool:
    """The newest samples of a stream."""

    stream: "Stream | Stored | Folder"
    """Of single samples."""
    config: TrainConfig
    """Says how many samples are kept, and drawn for a step."""
    device: torch.device
    workers: int | None = None
    _items: dict[int, Item] = field(default_factory=dict)
    _source: Iterator[Item] | None = None
    _seen: int = 0

    def batch(self, step: int, generator: torch.Generator) -> Item:
        """Draw samples for a step; steps must follow each other."""
        count = self.config.batch
        self._fill(self.config.rendered(step))
        picks = torch.randint(len(self._items), (count,), generator=generator).tolist()
        turns = torch.randint(8, (count,), generator=generator).tolist()
        side = self.config.side(step)
        ends = (self.config.recipe.size - side + 1,) * 2
        corners = [[int(torch.randint(n, (), generator=generator)) for n in ends] for _ in picks]
        drawn = [
            turned(_cropped(self._items[i], corner, side), k)
            for i, corner, k in zip(picks, corners, turns, strict=True)
        ]
        names = (*PLANES, "bandwidth")
        return {name: torch.stack([item[name] for item in drawn]) for name in names}

    def _fill(self, count: int) -> None:
        """Have seen `count` samples, the last of them kept in place."""
        if self._source is None:
            self._seen = max(0, count - self.config.pool)
            self.stream.start = self._seen * self.stream.ranks
            self._source = iter(self.stream.loader(self.workers))
        while self._seen < count:
            batch = next(self._source)
            item = {name: value[0].to(self.device) for name, value in batch.items()}
            self._items[self._seen % self.config.pool] = item
            self._seen += 1


def _cropped(item: Item, corner: Sequence[int], side: int) -> Item:
    """Take a square of a sample."""
    square = (..., *(slice(first, first + side) for first in corner))
    return {**item, **{name: item[name][square] for name in PLANES}}


def turned(item: Item, turn: int) -> Item:
    """Flip rows (1), columns (2) and transpose (4): images, planes, and components alike."""
    flips = [axis for bit, axis in ((1, -2), (2, -1)) if turn & bit]
    made = dict(item)
    for name in PLANES:
        plane = item[name].flip(flips) if flips else item[name]
        made[name] = plane.transpose(-1, -2) if turn & 4 else plane
    for name in VECTORS:
        vector: Tensor = made[name]
        signs = [-1.0 if turn & bit else 1.0 for bit in (1, 2)]
        vector = vector * torch.tensor(signs, device=vector.device)[:, None, None]
        made[name] = vector.flip(0) if turn & 4 else vector
    return made


def prepared(config: TrainConfig, *, truth: bool = True) -> Callable[[Item], Item]:
    """Say what is done to each sample where it is read or rendered; `truth` if it has one."""
    if config.objective == "coherence":
        return unsearched
    return with_search if truth else search_alone


def unsearched(sample: Item) -> Item:
    """Leave images as they are: coherence needs no search."""
    return {**sample, "found": torch.full_like(sample["motion"], torch.nan)}


def with_search(sample: Item, least: float = 0.0) -> Item:
    """Whiten both images, and add what the search that precedes a net finds.

    That is ``found``, ``(2, H, W)``, NaN where nothing is. It is searched as far as the true motion
    may go and half as much again, or farther: there is more to be mistaken for it. And `least`
    pixels in any case.
    """
    motion = sample["motion"]
    least = max(least, 1.5 * float(motion.abs().max()))
    if int(sample["index"]) % 3 == 0:
        least = max(least, USUAL)
    search = next((s for s in SEARCHES if s >= least), SEARCHES[-1])
    matcher = guessing(search)
    names = ("reference", "secondary")
    estimate = match_whole(matcher, *(sample[name] for name in names))
    images = {name: WHITEN(sample[name]) for name in names}
    rows, columns = motion.shape[-2:]
    step = matcher.stride
    whole = (len(estimate.dy) * step, estimate.dy.shape[1] * step)
    return {**sample, **images, "found": as_prior(estimate, step, 0, whole)[:, :rows, :columns]}


def search_alone(sample: Item) -> Item:
    """Do the same without truth; what is found stands for it, to be spoiled for a first guess."""
    made = with_search(sample, USUAL)
    return {**made, "motion": filled(made["found"])[0]}
