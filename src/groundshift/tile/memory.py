"""How large the tiles are and how many run at once, so that they fit into memory."""

import os
from itertools import product
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from groundshift.errors import GroundshiftError, MatcherError
from groundshift.types import PairOperator

LARGEST_TILE = 2048
"""Pixels, if not in halos. Beyond both the halo costs little and progress gets coarse."""
LARGEST_IN_HALOS = 5
BYTES_PER_PIXEL = 200
"""Working memory of an operator that does not state its own ``bytes_per_pixel``."""
SAFE_FRACTION = 0.4
"""Share of the available memory used when no budget is given."""
TILE_COST = 128**2
"""Setting up one tile takes as long as computing this many pixels, roughly."""
INPUT_BYTES = 16
"""Per pixel: a reference and a secondary tile in float32, and the chunks they were cut from."""


class Plan(NamedTuple):
    """How to cut an image and how many pieces to work on at once."""

    height: int
    """Of a tile, pixels, halo not included."""
    width: int
    workers: int
    """Tiles in memory at once."""
    threads: int
    """Torch threads for each of them."""


def plan(
    shape: tuple[int, int],
    operator: PairOperator,
    memory: int | None = None,
    *,
    tile: int | None = None,
    device: str = "cpu",
) -> Plan:
    """Choose the tile size and the number of concurrent tiles: the fastest that fit into memory.

    Parameters
    ----------
    shape
        Of the image, pixels.
    operator
        Its method ``bytes_of(rows, columns)``, where it has one, tells the memory it needs for a
        tile without its halo; else its attribute ``bytes_per_pixel``, for each pixel with it.
    memory
        Budget in bytes on top of what the process already holds; by default a safe fraction of
        what is available.
    tile
        Take squares of this side instead of choosing; a multiple of ``operator.period``.

    Raises
    ------
    MatcherError
        If the operator or the tile size cannot be used.
    GroundshiftError
        If not even the smallest tile fits.
    """
    check_operator(operator)
    if memory is not None and memory <= 0:
        raise GroundshiftError(f"memory={memory} must be a positive number of bytes")
    budget = default_budget(device) if memory is None else memory
    if tile is None:
        rows, columns = (_tile_sizes(length, operator) for length in shape)
        sizes = list(product(rows, columns))
    else:
        _check_tile(tile, operator.period)
        sizes = [(tile, tile)]
    limit = 1 if device.startswith("cuda") else cores()
    options = [
        Plan(*size, workers, max(1, limit // workers))
        for size in sizes
        for workers in range(min(limit, _tile_count(shape, size)), 0, -1)
    ]
    fitting = [each for each in options if _bytes_at_once(shape, each, operator) <= budget]
    if not fitting:
        need = min(_bytes_at_once(shape, each, operator) for each in options)
        given = (
            f"the {_human(budget)} of memory that may be used now are too few"
            if memory is None
            else f"a memory budget of {_as_given(budget)} is too small"
        )
        raise GroundshiftError(
            f"{given}: {type(operator).__name__} needs at least {_human(need)}; give more memory, "
            "or let the matcher search less far"
        )
    return min(fitting, key=lambda each: _time(shape, each, operator))


def default_budget(device: str = "cpu") -> int:
    """Return a safe fraction of the memory that is available now, in bytes."""
    if device.startswith("cuda"):
        return int(0.8 * torch.cuda.mem_get_info(device)[0])
    return int(SAFE_FRACTION * available_memory())


def available_memory() -> int:
    """Return the bytes this process may still take: the machine's, or its control group's."""
    free = _system_memory()
    group = _control_group_memory(Path("/sys/fs/cgroup"))
    return free if group is None else min(free, group)


def check_operator(operator: PairOperator) -> None:
    """Raise MatcherError unless halo, stride and period are the integers that tiling needs."""
    for name, least in (("halo", 0), ("stride", 1), ("period", 1)):
        value = getattr(operator, name, None)
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise MatcherError(
                f"{type(operator).__name__} cannot be tiled: its {name} is {value!r} "
                f"and must be an integer of at least {least}"
            )
    if operator.period % operator.stride:
        raise MatcherError(
            f"{type(operator).__name__} cannot be tiled: its period {operator.period} must be "
            f"a multiple of its stride {operator.stride}"
        )


def _check_tile(tile: int, period: int) -> None:
    if tile <= 0 or tile % period:
        better = max(period, tile // period * period)
        raise MatcherError(
            f"tile={tile} must be a positive multiple of the operator's period {period}; "
            f"pass tile={better}"
        )


def _tile_sizes(length: int, operator: PairOperator) -> list[int]:
    """Sizes worth trying along one axis, largest first: multiples of the period that halve."""
    period = operator.period
    largest = max(LARGEST_TILE, LARGEST_IN_HALOS * operator.halo)
    size = max(period, min(_padded(length, period), largest // period * period))
    sizes = [size]
    while size > period:
        size = max(period, _padded(size // 2, period) if size > 2 * period else period)
        sizes.append(size)
    return sizes


def _tile_count(shape: tuple[int, int], size: tuple[int, int]) -> int:
    return -(-shape[0] // size[0]) * -(-shape[1] // size[1])


def _largest_tile(shape: tuple[int, int], option: Plan, period: int) -> tuple[int, int]:
    """Rows and columns of the largest tile, without its halo."""
    height, width = (
        min(size, _padded(length, period))
        for length, size in zip(shape, (option.height, option.width), strict=True)
    )
    return height, width


def _pixels_read(length: int, size: int, halo: int) -> int:
    """Sum along one axis of all tiles and their halos, as far as they lie in the image."""
    starts = range(0, length, size)
    return sum(min(length, start + size + halo) - max(0, start - halo) for start in starts)


def _time(shape: tuple[int, int], option: Plan, operator: PairOperator) -> float:
    """Relative running time.

    Small tiles cost more: each computes its halo again and takes its time to be set up. Within
    one tile torch's threads help far less than another tile does; taken as the fourth root of
    their number.
    """
    size = option.height, option.width
    count = _tile_count(shape, size)
    rows, columns = (_pixels_read(n, s, operator.halo) for n, s in zip(shape, size, strict=True))
    rounds = -(-count // option.workers)
    return rounds * (rows * columns / count + TILE_COST) / option.threads**0.25


def _bytes_at_once(shape: tuple[int, int], option: Plan, operator: PairOperator) -> int:
    """Working memory of the tiles that run, and the input of those that wait their turn."""
    waiting = min(cores(), _tile_count(shape, (option.height, option.width)))
    height, width = _largest_tile(shape, option, operator.period)
    block = (height + 2 * operator.halo) * (width + 2 * operator.halo)
    tell = getattr(operator, "bytes_of", None)
    each = getattr(operator, "bytes_per_pixel", BYTES_PER_PIXEL) * block
    each = each if tell is None else tell(height, width)
    return int(option.workers * each + waiting * block * INPUT_BYTES)


def _padded(size: int, step: int) -> int:
    return -(-size // step) * step


def cores() -> int:
    """Return the processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _system_memory() -> int:
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        # No word on what is free: take half of what there is.
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return 4 * 1024**3


def _control_group_memory(root: Path) -> int | None:
    """Bytes left under the control group's limit (version 2, then 1); None without a limit."""
    for limit_name, used_name in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            limit = int((root / limit_name).read_text())
            used = int((root / used_name).read_text())
            stat = (root / used_name).with_name("memory.stat").read_text()
        except (OSError, ValueError):
            continue
        # The page cache of files counts as used but is given back on demand.
        cache = sum(
            int(line.split()[1]) for line in stat.splitlines() if line.startswith("inactive_file ")
        )
        return max(0, limit - used + cache)
    return None


def _human(size: float) -> str:
    """Round up, so that what is said to be needed is enough."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{ceil(size)}{unit}"
        size /= 1024
    return f"{ceil(10 * size) / 10:g}GiB"


def _as_given(size: int) -> str:
    """Write a budget in the unit, decimal or binary, that says it exactly in the fewest digits.

    Examples
    --------
    >>> _as_given(10**6), _as_given(2**20), _as_given(3 * 2**29)
    ('1MB', '1MiB', '1.5GiB')
    """
    units = [(1, "B")]
    units += [(1000**n, f"{prefix}B") for n, prefix in enumerate("kMGT", 1)]
    units += [(1024**n, f"{prefix}iB") for n, prefix in enumerate("KMGT", 1)]
    exact = [(size / one, unit) for one, unit in units if 100 * size % one == 0]
    return min((f"{number:.2f}".rstrip("0").rstrip(".") + unit for number, unit in exact), key=len)
