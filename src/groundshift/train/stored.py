"""Samples of a store, again and again: what `Stream` is for recipes."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import torch

from groundshift.errors import GroundshiftError
from groundshift.io.samples import Samples
from groundshift.synth.stream import Item
from groundshift.train.numbered import Numbered

HELD = 10
"""The last one of so many parts of a store is for validation."""


class Stored(Numbered):
    """Samples of a store in an order that changes each time; numbered on without end.

    The last tenth is left for validation: `held`. Samples of one pair follow each other, so that
    hardly a pair is in both.

    Parameters
    ----------
    path
        Of the store, of ``groundshift labels`` or ``groundshift simulate``.
    also
        Applied to each sample.
    start
        Number of the first.
    share
        Rank and number of ranks, as for :class:`groundshift.synth.stream.Stream`.

    Raises
    ------
    GroundshiftError
        If it has fewer than two samples.
    """

    truth = True
    """Whether samples have one, or labels in its place."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        also: Callable[[Item], Item] | None = None,
        *,
        start: int = 0,
        share: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(start, share)
        self.path, self.also = Path(path), also
        self.samples = Samples(self.path)
        count = len(self.samples)
        if count < 2:
            raise GroundshiftError(
                f"{path} has {count} sample(s), too few to train on and to validate; make more"
            )
        self.kept = count - max(1, count // HELD)

    @property
    def size(self) -> int:
        """Pixels of a sample, each way."""
        return int(self.samples[0]["reference"].shape[-1])

    @property
    def sources(self) -> list[str]:
        """What the samples are made of, one line each."""
        told = self.samples.attributes
        licences = [f"{each['source']} ({each['licence']})" for each in told.get("licences", [])]
        pairs = [" -> ".join(pair) for pair in told["recipe"].get("pairs", [])]
        return list(dict.fromkeys([*licences, *pairs]))

    @property
    def taught(self) -> str:
        """What the samples are, for the card: "synthetic", or "labels" of real pairs."""
        return "labels" if "pairs" in self.samples.attributes["recipe"] else "synthetic"

    def digest(self) -> str:
        """Identify the store by what it was made of."""
        told = {**self.samples.attributes, "count": len(self.samples)}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def held(self, count: int) -> list[Item]:
        """Return the first samples for validation, as many as there are."""
        last = min(self.kept + count, len(self.samples))
        return [self.samples[k] for k in range(self.kept, last)]

    looks = held
    """Those also tell what the images are like."""

    def at(self, index: int) -> Item:
        """Return a sample by its number in the endless order."""
        turn, place = divmod(index, self.kept)
        order = torch.randperm(self.kept, generator=torch.Generator().manual_seed(turn))
        item = {**self.samples[int(order[place])], "index": torch.tensor(index)}
        return item if self.also is None else self.also(item)
