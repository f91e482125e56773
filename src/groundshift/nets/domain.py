"""What images a net was trained on, in a few numbers; and whether others are like them.

A net outside of what it knows is wrong without a sign of it: its sigma is trained as well.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

SIDE = 22
"""Side of the windows that are looked at, pixels."""
FEWEST = 4
"""Windows that say something of an image."""
MARGIN = 0.1
"""Share of a span by which images may lie outside of it."""
FEWER = 0.5
"""Share of the fewest steps below which images are strange; more steps than any never are."""


class Statistics(NamedTuple):
    """How an amplitude or a brightness looks from window to window."""

    neighbour: float
    """Correlation of neighbouring pixels: how wide speckle or blur is."""
    scatter: float
    """Deviation over mean in the calmer half of the windows; ``0.52 / sqrt(looks)`` of radar."""
    steps: float
    """Deviation in the calmer half over the smallest step between values: bit depth."""


MEANING = {
    "neighbour": "the correlation of neighbouring pixels",
    "scatter": "the relative scatter of calm ground",
    "steps": "the number of grey levels of calm ground",
}
RARE = 0.01
"""Share of the images at each end of a span that do not count: chance makes strange ones."""
UNLIMITED = 1e4
"""Steps of an image that is not quantised."""
Span = Mapping[str, tuple[float, float]]
"""Least and largest value of each of `Statistics`."""


def windows_of(image: Tensor) -> Tensor:
    """Cut an image ``(H, W)`` into whole windows without gaps, ``(n, SIDE**2)``."""
    rows, columns = (n // SIDE * SIDE for n in image.shape)
    tiles = image[:rows, :columns].unflatten(0, (-1, SIDE)).unflatten(2, (-1, SIDE))
    windows = tiles.transpose(1, 2).reshape(-1, SIDE**2)
    return windows[windows.isfinite().all(1)]


def statistics(windows: Tensor) -> Statistics | None:
    """Describe windows ``(n, SIDE**2)``; None where they show nothing."""
    if len(windows) < FEWEST:
        return None
    windows = windows.double()
    mean, spread = windows.mean(1), windows.std(1)
    there = (mean > 0) & (spread > 1e-6 * mean)
    if int(there.sum()) < FEWEST:
        return None
    windows, mean, spread = windows[there], mean[there], spread[there]
    relative = spread / mean
    calm = relative <= relative.median()
    about = ((windows - mean[:, None]) / spread[:, None])[calm].reshape(-1, SIDE, SIDE)
    along = (about[:, 1:] * about[:, :-1]).mean()
    across = (about[:, :, 1:] * about[:, :, :-1]).mean()
    gaps = windows[calm].sort(1).values.diff(dim=1)
    least = torch.where(gaps > 1e-4 * spread[calm, None], gaps, torch.inf).amin(1)
    steps = (spread[calm] / least).median()
    return Statistics(
        float(along + across) / 2, float(relative[calm].median()), min(float(steps), UNLIMITED)
    )


def span_of(images: Iterable[Tensor]) -> dict[str, tuple[float, float]]:
    """Return the least and the largest of what images ``(H, W)`` show; nothing, if none does.

    At each end, `RARE` of them do not count.
    """
    found = [each for each in (statistics(windows_of(image)) for image in images) if each]
    if not found:
        return {}
    left = int(RARE * len(found))
    ordered = (sorted(values) for values in zip(*found, strict=True))
    return {
        name: (values[left], values[-1 - left])
        for name, values in zip(Statistics._fields, ordered, strict=True)
    }


def strange(found: Statistics | None, span: Span) -> list[str]:
    """Say in what an image lies outside of a span; nothing if it does not."""
    if found is None:
        return []
    said = []
    for name, value in found._asdict().items():
        low, high = span.get(name, (-torch.inf, torch.inf))
        room = MARGIN * (high - low)
        least, most = (FEWER * low, torch.inf) if name == "steps" else (low - room, high + room)
        if not least <= value <= most:
            said.append(f"{MEANING[name]} is {value:.3g}, and was {low:.3g} to {high:.3g}")
    return said
