"""A bank of texture: crops of real images from one compact file.

The file is a compressed ``.npz`` that numpy reads without pickles: one array of 8-bit planes for
each stack, and a JSON table of contents. Planes are stored as differences to their neighbours,
which deflates despeckled radar to 1.7 and optical images to 5 bits per pixel. A file in which
planes could be mapped into memory (safetensors) would hold a third of that radar in the same size;
this one is decoded once, when it is opened, at some 50 million pixels per second, and then crops
are slices, on the CPU or on the GPU.

Radar amplitude is kept in steps of 0.5 dB: wrong by 0.25 dB at most, where single-look speckle
scatters by 5.6 dB. Images of 8 bits are kept as they are, but for a 0 among the data where there is
a 255 as well, which becomes a 1; deeper optical images in 254 steps of the square root, like the
noise of light, between the 0.01th and the 99.99th percentile.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from groundshift.errors import GroundshiftError, ImageError

KINDS = ("reflectivity", "detected", "optical")
"""Radar amplitude without speckle, radar amplitude with it, and images of light."""
SPLITS = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""Share of the scenes, roughly."""
SCHEMA = "groundshift-bank/1"
CONTENTS = "contents"
"""Name of the member that holds the table of contents, UTF-8 JSON."""
DECIBELS = 0.5
"""Step of radar amplitude."""
LEVELS = 255
"""Levels of a plane, from 1; 0 is no data."""
TRIES = 64
"""Places to try for a crop without missing pixels, before another stack is drawn."""


@dataclass(frozen=True)
class Scale:
    """What the levels of a plane mean."""

    law: str
    """``linear``: offset + step q; ``sqrt``: offset + (step q)^2; ``db``: 20 log10 of the
    value is offset + step q. With q = level - 1."""
    offset: float
    step: float

    def levels(self, values: np.ndarray) -> np.ndarray:
        """Round to levels, uint8; NaN becomes 0, what is out of range the nearest level."""
        known = np.isfinite(values)
        v = np.where(known, values, self.offset).astype(np.float64)
        match self.law:
            case "db":
                q = (20 * np.log10(v, where=v > 0, out=np.full_like(v, -np.inf)) - self.offset) / (
                    self.step
                )
            case "sqrt":
                q = np.sqrt((v - self.offset).clip(min=0)) / self.step
            case _:
                q = (v - self.offset) / self.step
        return np.where(known, q.clip(0, LEVELS - 1).round() + 1, 0).astype(np.uint8)

    def values(self, levels: Tensor) -> Tensor:
        """Return what levels stand for, float32; NaN for 0."""
        q = torch.arange(-1, LEVELS, dtype=torch.float64, device=levels.device) * self.step
        match self.law:
            case "db":
                table = 10 ** ((q + self.offset) / 20)
            case "sqrt":
                table = q**2 + self.offset
            case _:
                table = q + self.offset
        table[0] = torch.nan
        return table.float()[levels.int()]


def scale_of(values: np.ndarray, kind: str) -> Scale:
    """Choose the scale for an image: amplitude of radar, or an optical one; NaN is no data.

    Raises
    ------
    ImageError
        Without a single usable value.
    """
    known = values[np.isfinite(values)]
    if kind != "optical":
        known = known[known > 0]
    if known.size == 0 or known.min() == known.max():
        above = "" if kind == "optical" else " above zero"
        raise ImageError(f"has no two different values{above}")
    if kind != "optical":
        top = 20 * np.log10(float(known.max()))
        return Scale("db", top - DECIBELS * (LEVELS - 1), DECIBELS)
    low, high = float(known.min()), float(known.max())
    if high - low <= LEVELS and np.array_equal(known, np.round(known)):
        return Scale("linear", high - (LEVELS - 1), 1.0)
    low, high = (float(v) for v in np.percentile(known, (0.01, 99.99)))
    return Scale("sqrt", low, (max(high - low, 1e-9) ** 0.5) / (LEVELS - 1))


@dataclass(frozen=True)
class Stack:
    """Planes of one place in one band on different dates, on the same pixels."""

    name: str
    """Unique: the first file, and the band where there are several."""
    scene: str
    """The place: what is drawn from one scene never appears in two splits."""
    kind: str
    """One of `KINDS`."""
    split: str
    """One of `SPLITS`."""
    source: str
    """Where it is from."""
    licence: str
    sensor: str
    dates: tuple[str, ...]
    """Of each plane, ISO or what the files call it, in order."""
    scales: tuple[Scale, ...]
    """Of each plane."""
    levels: Tensor
    """uint8, ``(dates, rows, columns)``."""

    @property
    def pixels(self) -> int:
        """Number of pixels of all planes."""
        return self.levels.numel()

    def places(self, size: int) -> int:
        """In how many places a square crop fits."""
        rows, columns = self.levels.shape[1:]
        return max(rows - size + 1, 0) * max(columns - size + 1, 0)


def split_of(scene: str) -> str:
    """Split that a scene belongs to: from its name alone, so that it never changes."""
    digest = hashlib.sha256(scene.encode()).digest()
    chance = int.from_bytes(digest[:8], "big") / 2**64
    for split, share in SPLITS.items():
        if chance < share:
            return split
        chance -= share
    return "train"


@dataclass(frozen=True)
class Bank:
    """Stacks in memory, to draw crops from."""

    stacks: tuple[Stack, ...]

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read a bank and decode it: 1 byte of memory per pixel.

        Raises
        ------
        ImageError
            When the file is no bank, or is damaged.
        """
        try:
            with Path(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                contents = json.loads(file[CONTENTS].tobytes())
                if contents["schema"] != SCHEMA:
                    raise ImageError(
                        f"{path} has the schema {contents['schema']!r} and not {SCHEMA!r}; "
                        "pack it again"
                    )
                return cls(
                    tuple(
                        _stack(entry, undifferenced(file[str(number)]))
                        for number, entry in enumerate(contents["stacks"])
                    )
                )
        except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile, EOFError) as error:
            if isinstance(error, ImageError):
                raise
            raise ImageError(
                f"{path} is not a bank of texture ({error}); write one with groundshift pack"
            ) from error

    def to(self, device: torch.device | str) -> Self:
        """Put all planes on a device, where crops are then made."""
        return replace(
            self, stacks=tuple(replace(s, levels=s.levels.to(device)) for s in self.stacks)
        )

    def select(
        self,
        *,
        kind: str | None = None,
        split: str | None = None,
        size: int = 1,
        dates: int = 1,
    ) -> tuple[Stack, ...]:
        """Return the stacks of a kind and a split with crops of a size on so many dates."""
        return tuple(
            s
            for s in self.stacks
            if kind in (None, s.kind)
            and split in (None, s.split)
            and s.places(size) > 0
            and len(s.dates) >= dates
        )

    def crop(
        self,
        rng: np.random.Generator,
        size: int,
        kind: str,
        split: str = "train",
        *,
        dates: int = 1,
    ) -> Tensor:
        """Draw a square crop without missing pixels.

        Large stacks are drawn more often, by the square root of the number of places where the
        crop fits: in proportion to it, one large scene would be all that is ever seen.

        Parameters
        ----------
        rng
            Source of randomness.
        size
            Side, pixels.
        kind
            One of `KINDS`.
        split
            One of `SPLITS`.
        dates
            Number of different dates of the same place, in random order: 2 for a pair.

        Returns
        -------
        Tensor
            float32, ``(dates, size, size)``: amplitude of radar, reflectance or digital numbers
            of optical images; on the device of the bank.

        Raises
        ------
        GroundshiftError
            When the bank has no such crop.
        """
        _check(kind, KINDS, "kind")
        _check(split, tuple(SPLITS), "split")
        stacks = list(self.select(kind=kind, split=split, size=size, dates=dates))
        while stacks:
            weights = np.sqrt([stack.places(size) for stack in stacks])
            stack = stacks[int(rng.choice(len(stacks), p=weights / weights.sum()))]
            found = _complete(stack, rng, size, dates)
            if found is not None:
                return found
            stacks.remove(stack)
        largest = max(
            (min(s.levels.shape[1:]) for s in self.select(kind=kind, split=split, dates=dates)),
            default=0,
        )
        raise GroundshiftError(
            f"the bank has no {size}-px crop of kind={kind!r}, split={split!r} on {dates} dates "
            f"without missing pixels; the largest planes there have {largest} px; ask for a "
            "smaller one or pack more images"
        )


def save(path: str | os.PathLike[str], stacks: Sequence[Stack]) -> None:
    """Write a bank; `Bank.open` reads it."""
    entries = []
    for stack in stacks:
        entry = asdict(replace(stack, levels=torch.empty(0)))
        del entry["levels"]
        entries.append(entry)
    text = json.dumps({"schema": SCHEMA, "stacks": entries}, ensure_ascii=False)
    members = {str(n): differenced(stack.levels) for n, stack in enumerate(stacks)}
    members[CONTENTS] = np.frombuffer(text.encode(), np.uint8)
    with Path(path).open("wb") as file:
        np.savez_compressed(file, **members)  # pyright: ignore[reportArgumentType]


def differenced(levels: Tensor) -> np.ndarray:
    """Differences along columns and then rows, modulo 256, of planes ``(n, rows, columns)``."""
    values = levels.cpu().numpy()
    for axis in (2, 1):
        values = np.diff(values, axis=axis, prepend=np.uint8(0))
    return values


def undifferenced(values: np.ndarray) -> Tensor:
    """Undo `differenced`."""
    if values.dtype != np.uint8 or values.ndim != 3:
        raise ImageError(f"planes are {values.dtype} {values.shape}, not uint8 of 3 dimensions")
    for axis in (1, 2):
        values = np.cumsum(values, axis=axis, dtype=np.uint8)
    return torch.from_numpy(values)


def _stack(entry: dict[str, Any], levels: Tensor) -> Stack:
    scales = tuple(Scale(**scale) for scale in entry["scales"])
    return Stack(**(entry | {"dates": tuple(entry["dates"]), "scales": scales, "levels": levels}))


def _complete(stack: Stack, rng: np.random.Generator, size: int, dates: int) -> Tensor | None:
    """Draw places until no pixel is missing; None when that takes too long."""
    order = rng.permutation(len(stack.dates))[:dates].tolist()
    rows, columns = stack.levels.shape[1:]
    for _ in range(TRIES):
        top = int(rng.integers(rows - size + 1))
        left = int(rng.integers(columns - size + 1))
        window = stack.levels[:, top : top + size, left : left + size]
        planes = [window[k] for k in order]
        if all(bool(plane.all()) for plane in planes):
            values = [stack.scales[k].values(p) for k, p in zip(order, planes, strict=True)]
            return torch.stack(values)
    return None


def _check(value: str, known: Sequence[str], name: str) -> None:
    if value not in known:
        raise GroundshiftError(f"{name}={value!r} is not known; choose one of {', '.join(known)}")
