"""Which images show one place, on different dates or in different bands.

That is measured and not believed: names that differ in digits only, equal grids, and a
cross-correlation with its peak at zero. On despeckled Sentinel-1, aerial images and Landsat over 35
years that peak was 0.24 to 0.83; between different places, and under clouds, it was elsewhere.

All that shows one place goes into one split: stacks, bands of a file, and images whose footprints
overlap or that correlate. The split follows from the place's name; if a kind would have nothing to
validate or to test on, its smallest places are taken from the training.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath

import numpy as np
import torch
from scipy import ndimage

from groundshift.io.pack.images import Plane
from groundshift.io.pack.middle import span
from groundshift.synth import bank
from groundshift.synth.bank import Stack

COVERED = 512
"""Pixels along each side of at least one place of each kind in each split."""
ALIGNED = 0.15
"""Least cross-correlation of two images of one place."""
COMPARED = 1024
"""Side of the parts that are correlated, pixels."""
HIGH_PASS = 8.0
"""Of what is correlated, deviation of the blur that is subtracted, in pairs of pixels."""


def stacks_of(planes: Sequence[Plane]) -> list[Stack]:
    """Put planes on the same pixels together, and name the place of each."""
    details = [_detail(plane) for plane in planes]
    place = list(range(len(planes)))
    groups: list[list[int]] = []
    for index, plane in enumerate(planes):
        for other in range(index):
            if _same_place(planes[other], plane, details[other], details[index]):
                _join(place, other, index)
        for group in groups:
            if all(_another_date(planes[member], plane) for member in group) and aligned(
                details[group[0]], details[index]
            ):
                group.append(index)
                break
        else:
            groups.append([index])
    return [_stack(planes, group, planes[_root(place, group[0])].name) for group in groups]


def _same_place(a: Plane, b: Plane, detail_a: np.ndarray, detail_b: np.ndarray) -> bool:
    if a.name.partition(":")[0] == b.name.partition(":")[0]:
        return True
    if a.footprint is not None and b.footprint is not None:
        west, south, east, north = zip(a.footprint, b.footprint, strict=True)
        return max(west) < min(east) and max(south) < min(north)
    beside = PurePath(a.name).parent == PurePath(b.name).parent
    return beside and a.grid == b.grid and aligned(detail_a, detail_b)


def _another_date(a: Plane, b: Plane) -> bool:
    alike = (a.stem, a.band, a.kind, a.grid) == (b.stem, b.band, b.kind, b.grid)
    return alike and a.date != b.date


def _detail(plane: Plane) -> np.ndarray:
    """Fine structure of the middle, halved in size, of zero mean and unit variance."""
    rows, columns = (slice(*span(n, COMPARED)) for n in plane.levels.shape)
    part = plane.levels[rows, columns].astype(np.float32)
    part = np.where(part == 0, np.median(part[part > 0]) if (part > 0).any() else 0, part)
    high, wide = (n // 2 for n in part.shape)
    part = part[: 2 * high, : 2 * wide].reshape(high, 2, wide, 2).mean(axis=(1, 3))
    part = part - ndimage.gaussian_filter(part, HIGH_PASS)
    return (part - part.mean()) / max(float(part.std()), 1e-6)


def aligned(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two standardised images correlate, and best where they are."""
    if a.shape != b.shape or float((a * b).mean()) < ALIGNED:
        return False
    spectrum = np.fft.rfft2(b) * np.conj(np.fft.rfft2(a))
    return int(np.fft.irfft2(spectrum, s=a.shape).argmax()) == 0


def _root(place: list[int], index: int) -> int:
    while place[index] != index:
        index = place[index]
    return index


def _join(place: list[int], a: int, b: int) -> None:
    a, b = sorted((_root(place, a), _root(place, b)))
    place[b] = a


def _stack(planes: Sequence[Plane], group: Sequence[int], scene: str) -> Stack:
    members = sorted((planes[index] for index in group), key=lambda plane: plane.date)
    first = members[0]
    scene = scene.partition(":")[0]
    return Stack(
        name=first.name,
        scene=scene,
        kind=first.kind,
        split=bank.split_of(scene),
        source=first.about.source,
        licence=first.about.licence,
        sensor=first.about.sensor,
        dates=tuple(member.date for member in members),
        scales=tuple(member.scale for member in members),
        levels=torch.from_numpy(without_rim(np.stack([member.levels for member in members]))),
    )


def without_rim(levels: np.ndarray) -> np.ndarray:
    """Cut off outer rows and columns that are mostly without data on some date."""
    known = (levels > 0).all(axis=0)
    rows, columns = ((known.mean(axis=axis) > 0.5).nonzero()[0] for axis in (1, 0))
    if rows.size == 0 or columns.size == 0:
        return levels
    return levels[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def covered(stacks: Sequence[Stack]) -> list[Stack]:
    """Move the smallest places of a kind to splits without one, but not the last of training."""
    splits = {stack.scene: stack.split for stack in stacks}
    for kind in bank.KINDS:
        places: dict[str, int] = {}
        for stack in stacks:
            if stack.kind == kind and min(stack.levels.shape[1:]) >= COVERED:
                area = stack.levels[0].numel()
                places[stack.scene] = max(places.get(stack.scene, 0), area)
        by_size = sorted(places, key=lambda scene: (places[scene], scene))
        for split in ("validation", "test"):
            training = [scene for scene in by_size if splits[scene] == "train"]
            if len(training) > 1 and split not in {splits[scene] for scene in places}:
                splits[training[0]] = split
    return [replace(stack, split=splits[stack.scene]) for stack in stacks]
