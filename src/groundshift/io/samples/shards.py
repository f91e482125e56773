"""Writing one shard: its planes and tables first, and last what says that it is there."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from groundshift.errors import OutputError
from groundshift.io.samples.layout import MARK, TABLES, Layout
from groundshift.io.scratch import cannot_write


def write(layout: Layout, shard: int, items: Sequence[Mapping[str, Tensor]]) -> None:
    """Write all samples of a shard.

    A process that is killed at any moment leaves the shard complete or not counted. Whoever writes
    it again writes the same bytes, each file under a temporary name.

    Parameters
    ----------
    layout
        Of the store, which exists.
    shard
        Which one.
    items
        Samples as streams have them (:mod:`groundshift.synth.stream`), in order.

    Raises
    ------
    OutputError
        When the disk is full.
    """
    import zarr  # not above: zarr takes long to import

    part = layout.part(shard)
    where = slice(part.start, part.stop)
    group = zarr.open_group(layout.path, mode="r+", zarr_format=3, use_consolidated=False)
    try:
        # Zarr would read, and complete, what a killed writer left.
        for file in _files(layout, shard):
            file.unlink()
        for name, variable in (layout.planes | TABLES).items():
            values = np.stack([_plane(item, name) for item in items]).astype(variable.dtype)
            if name == MARK:
                # The mark must not reach the disk before what it vouches for.
                for file in _files(layout, shard):
                    _flush(file)
            group[name][where] = values  # pyright: ignore[reportArgumentType, reportIndexIssue]
    except OSError as error:
        raise OutputError(cannot_write(layout.path, error)) from error


def size_of(layout: Layout, shard: int) -> int:
    """Return the bytes of a shard on disk."""
    return sum(file.stat().st_size for file in _files(layout, shard))


def _plane(item: Mapping[str, Tensor], name: str) -> np.ndarray:
    if name in ("dy", "dx"):
        return item["motion"][("dy", "dx").index(name)].cpu().numpy()
    return item[name].cpu().numpy()


def _files(layout: Layout, shard: int) -> list[Path]:
    """Files of a shard but for its mark; planes that are missing altogether have none."""
    path = layout.path
    planes = [path / name / "c" / str(shard) / "0" / "0" for name in layout.planes]
    tables = [path / name / "c" / str(shard) for name in TABLES if name != MARK]
    return [file for file in (*planes, *tables) if file.exists()]


def _flush(file: Path) -> None:
    """Wait until a file is on the disk."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
