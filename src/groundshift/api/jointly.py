"""Pairs of a stack that are measured together, by a net that sees each image by itself."""

from collections.abc import Iterator, Sequence

import xarray as xr

from groundshift import field, tile
from groundshift.api import guard
from groundshift.api.inputs import source_of
from groundshift.api.tracking import Method, labelled_field, step_of
from groundshift.errors import MatcherError
from groundshift.nets.stack import stacked

IMAGES = 12
"""In a batch, at most."""
BATCH = 4 << 30
"""Bytes of the results of a batch, at most, but for a single pair."""

Pairs = Sequence[tuple[int, int]]


def can(how: Method, coregister: str | None) -> bool:
    """Whether pairs can be measured together: nothing is chosen or fitted for each of them."""
    together = stacked(how.matcher, 2, [(0, 1)])
    return together is not None and how.otherwise is None and coregister is None


def batches(pairs: Pairs, size: int) -> Iterator[list[int]]:
    """Cut pairs into batches of few images: numbers of pairs, the earlier second image first.

    Parameters
    ----------
    pairs
        Numbers of both images of each.
    size
        Bytes of the results of one.

    Examples
    --------
    >>> list(batches([(0, 1), (0, 2), (1, 2)], 1))
    [[0, 1, 2]]
    >>> list(batches([(0, 1), (0, 2), (1, 2)], BATCH // 2))
    [[0, 1], [2]]
    """
    batch: list[int] = []
    images: set[int] = set()
    for number in sorted(range(len(pairs)), key=lambda n: (max(pairs[n]), min(pairs[n]))):
        more = images | set(pairs[number])
        if batch and (len(more) > IMAGES or (len(batch) + 1) * size > BATCH):
            yield batch
            batch, more = [], set(pairs[number])
        batch.append(number)
        images = more
    if batch:
        yield batch


def measure(
    images: dict[int, xr.DataArray],
    pairs: Pairs,
    how: Method,
    *,
    memory: int | None = None,
    device: str = "cpu",
) -> list[xr.Dataset]:
    """Measure the displacement of pairs of detected images on one grid.

    Parameters
    ----------
    images
        By number.
    pairs
        Numbers of the reference and the secondary of each.
    how
        A method that `can` do this.

    Returns
    -------
    list of xr.Dataset
        Displacement fields, as :func:`groundshift.api.tracking.measure` gives them.
    """
    places = {number: place for place, number in enumerate(images)}
    operator = stacked(how.matcher, len(images), [(places[i], places[j]) for i, j in pairs])
    if operator is None:
        raise MatcherError(f"{how.matcher!r} looks at two images at once")
    guard.unfinished(how.matcher)
    unlike = {
        number: guard.unlike(how.matcher, {source_of(image): image})
        for number, image in images.items()
    }
    for said in sorted({text for text in unlike.values() if text}):
        guard.warn(said)
    planes = tile.map_stack(operator, list(images.values()), memory=memory, device=device)
    count = len(field.Planes._fields)
    return [
        labelled_field(
            field.Planes(*(planes[k] for k in range(number * count, (number + 1) * count))),
            images[i],
            images[j],
            how.matcher,
            [step_of(images[i], images[j])],
            {"unlike_training": "; ".join(filter(None, (unlike[i], unlike[j])))},
        )
        for number, (i, j) in enumerate(pairs)
    ]
