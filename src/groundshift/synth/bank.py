"""A bank of texture and motion: crops of real images, and fields to move them by, from one file.

The file is a compressed ``.npz`` that numpy reads without pickles: one array of 8-bit planes for
each stack (:mod:`groundshift.synth.levels`), one of 16 bits for each field of motion with another
that tells where it was measured, and a JSON table of contents. A file in which planes could be
mapped into memory (safetensors) would hold a third of the radar in the same size; this one is
decoded once, when it is opened, at some 50 million pixels per second, and then crops are slices, on
the CPU or on the GPU.
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
from groundshift.synth.levels import Scale, differenced, undifferenced
from groundshift.synth.measured import MotionField

KINDS = ("reflectivity", "detected", "optical")
"""Radar amplitude without speckle, radar amplitude with it, and images of light."""
SPLITS = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""Share of the scenes, roughly."""
SCHEMA = "groundshift-bank/1"
CONTENTS = "contents"
"""Name of the member that holds the table of contents, UTF-8 JSON."""
TRIES = 64
"""Places to try for a crop without missing pixels, before another stack is drawn."""


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
    """Stacks in memory, to draw crops from, and fields of motion."""

    stacks: tuple[Stack, ...]
    motions: tuple[MotionField, ...] = ()

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
                stacks = tuple(
                    _stack(entry, undifferenced(file[str(number)]))
                    for number, entry in enumerate(contents["stacks"])
                )
                motions = tuple(
                    _motion(entry, file[f"motion{number}"], file[f"known{number}"])
                    for number, entry in enumerate(contents.get("motions", ()))
                )
                return cls(stacks, motions)
        except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile, EOFError) as error:
            if isinstance(error, ImageError):
                raise
            raise ImageError(
                f"{path} is not a bank of texture ({error}); write one with groundshift pack"
            ) from error

    def digest(self) -> str:
        """SHA-256 of all that samples follow from: names, splits and pixels."""
        found = hashlib.sha256()
        for each in (*self.stacks, *self.motions):
            found.update(repr((each.name, each.scene, each.split)).encode())
            found.update(each.levels.cpu().contiguous().numpy().data)
        return found.hexdigest()

    def sources(self) -> tuple[str, ...]:
        """Say where texture and motion are from, and under which licence, once each."""
        stacks = {f"{each.source} ({each.licence})" for each in self.stacks}
        fields = {f"{each.name} ({each.licence})" for each in self.motions}
        return (*sorted(stacks), *sorted(fields))

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

    def motions_of(self, split: str) -> tuple[MotionField, ...]:
        """Return the fields of motion of a split."""
        return tuple(field for field in self.motions if field.split == split)

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


def save(
    path: str | os.PathLike[str], stacks: Sequence[Stack], motions: Sequence[MotionField] = ()
) -> None:
    """Write a bank; `Bank.open` reads it."""
    contents = {
        "schema": SCHEMA,
        "stacks": [_entry(stack, "levels") for stack in stacks],
        "motions": [_entry(field, "levels", "known") for field in motions],
    }
    members = {str(n): differenced(stack.levels) for n, stack in enumerate(stacks)}
    for n, field in enumerate(motions):
        members[f"motion{n}"] = differenced(field.levels)
        members[f"known{n}"] = np.packbits(field.known.cpu().numpy(), axis=1)
    members[CONTENTS] = np.frombuffer(json.dumps(contents, ensure_ascii=False).encode(), np.uint8)
    with Path(path).open("wb") as file:
        np.savez_compressed(file, **members)  # pyright: ignore[reportArgumentType]


def _entry(item: Stack | MotionField, *planes: str) -> dict[str, Any]:
    """Everything but the planes."""
    empty: dict[str, Any] = {plane: torch.empty(0) for plane in planes}
    entry = asdict(replace(item, **empty))
    return {key: value for key, value in entry.items() if key not in planes}


def _stack(entry: dict[str, Any], levels: Tensor) -> Stack:
    scales = tuple(Scale(**scale) for scale in entry["scales"])
    return Stack(**(entry | {"dates": tuple(entry["dates"]), "scales": scales, "levels": levels}))


def _motion(entry: dict[str, Any], levels: np.ndarray, known: np.ndarray) -> MotionField:
    columns = levels.shape[-1]
    measured = np.unpackbits(known, axis=1, count=columns).astype(bool)
    return MotionField(**entry, levels=undifferenced(levels), known=torch.from_numpy(measured))


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
