"""Runs a net on the part of a block that has data, in whole periods of the net."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from groundshift.matchers.stage import crop, known_part
from groundshift.matchers.windows import up_to
from groundshift.nets.parts import Cuts

Run = Callable[[Tensor, Tensor, Tensor | None, Cuts], Tensor]
"""From reference, secondary (as much larger on each side as displacements may lead), prior, and
the rows and columns of the reference that are asked for, to planes of these."""


def planes_of(
    run: Run,
    count: int,
    period: int,
    context: int,
    images: tuple[Tensor, Tensor, Tensor | None],
    margin: int,
) -> Tensor:
    """Run a net; where it does not reach, zero.

    Parameters
    ----------
    run
        Gives `count` planes.
    count
        Of planes.
    period
        Of the net: its cells must not depend on where the area ends.
    context
        Pixels of the reference that the net sees beyond the area reported on.
    images
        Reference, secondary and prior, with `margin` pixels of context.
    margin
        At least `context`.

    Returns
    -------
    Tensor
        ``(count, rows, columns)``, without the margin.
    """
    reference, secondary, prior = images
    rows, columns = (n - 2 * margin for n in reference.shape)
    below, beside = (up_to(n, period) - n for n in (rows, columns))
    ends = (0, beside, 0, below)
    edge = margin - context
    area = pad(crop(reference, edge), ends, value=torch.nan)
    part = known_part(area, period)
    if part is None:
        return area.new_zeros(count, rows, columns)
    around = tuple(slice(cut.start, cut.stop + 2 * edge) for cut in part)
    wide = pad(secondary, ends, value=torch.nan)[around]
    if prior is not None:
        prior = pad(crop(prior, edge), ends, value=torch.nan)[(..., *part)]
    inner = [inner_of(cut, context, n) for cut, n in zip(part, (rows, columns), strict=True)]
    asked = inner[0][1], inner[1][1]
    if any(cut.start == cut.stop for cut in asked):
        return area.new_zeros(count, rows, columns)
    found = run(area[part], wide, prior, asked)
    # Only now: what the net needs in between decides the memory.
    planes = area.new_zeros(count, rows, columns)
    planes[:, *(to for to, _ in inner)] = found
    return planes


def inner_of(cut: slice, context: int, size: int) -> tuple[slice, slice]:
    """Return where a part of an area goes in its inner `size`, and what of the part that is."""
    first, last = max(cut.start, context), min(cut.stop, context + size)
    last = max(first, last)
    return slice(first - context, last - context), slice(first - cut.start, last - cut.start)
