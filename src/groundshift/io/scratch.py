"""A raw file that many threads fill while a result is computed.

A field is first computed, all variables in one pass, into such a file beside the output, and then
put into its format. That keeps memory small, computes each tile once, and tells the two kinds of
failure apart: what breaks in the first step that is not a full disk comes from the computation,
what breaks in the second comes from writing.
"""

from dataclasses import dataclass
from itertools import accumulate, product
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.delayed import delayed

from groundshift.errors import OutputError

TYPE = np.dtype("float32")
WHOLE = 8
"""Rows are read one by one for less than the inverse of that of their columns."""


@dataclass(frozen=True)
class Scratch:
    """Planes of a raw file, row by row, float32; an array that can be read and written.

    Its shape is ``(rows, columns)``, or ``(planes, rows, columns)``.
    """

    path: str
    first: int
    """Planes of the file that come before."""
    shape: tuple[int, ...]

    dtype = TYPE

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def line(self) -> int:
        """Bytes per row."""
        return self.shape[-1] * TYPE.itemsize

    def plane(self, number: int) -> "Scratch":
        """Return one plane."""
        return Scratch(self.path, self.first + number, self.shape[-2:])

    @property
    def offset(self) -> int:
        """First byte."""
        return self.first * self.shape[-2] * self.line

    def __setitem__(self, key: tuple[slice, ...], block: np.ndarray) -> None:
        """Write a block."""
        planes, rows, columns = self._bounds(key)
        shape = tuple(stop - start for start, stop in (planes, rows, columns))
        whole = np.ascontiguousarray(np.broadcast_to(block, shape), TYPE)
        try:
            with Path(self.path).open("r+b") as file:
                for number, plane in enumerate(whole, planes[0]):
                    start = self.plane(number).offset + columns[0] * TYPE.itemsize
                    for row, values in enumerate(plane, rows[0]):
                        file.seek(start + row * self.line)
                        file.write(values.tobytes())
        except OSError as error:
            raise OutputError(cannot_write(Path(self.path).parent.parent, error)) from error

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read a block, or every so many of its planes, rows and columns; or one of them."""
        cuts = [part if isinstance(part, slice) else slice(part, part + 1) for part in key]
        *numbers, rows, columns = (
            range(*cut.indices(n)) for cut, n in zip(cuts, self.shape, strict=True)
        )
        if self.ndim == 2:
            found = self._read(rows, columns)
        else:
            found = np.stack([self.plane(number)._read(rows, columns) for number in numbers[0]])
        return found[tuple(slice(None) if isinstance(part, slice) else 0 for part in key)]

    def _read(self, rows: range, columns: range) -> np.ndarray:
        """Read rows and columns of a plane: at once if that is most of it, else row by row."""
        if not rows or not columns:
            return np.empty((len(rows), len(columns)), TYPE)
        left, right = min(columns), max(columns) + 1
        width = self.shape[-1]
        if rows.step == 1 and WHOLE * (right - left) >= width:
            start = self.offset + rows.start * self.line
            found = np.fromfile(self.path, TYPE, len(rows) * width, offset=start)
            found = found.reshape(-1, width)[:, left:right]
        else:
            start = self.offset + left * TYPE.itemsize
            found = np.stack(
                [
                    np.fromfile(self.path, TYPE, right - left, offset=start + row * self.line)
                    for row in rows
                ]
            )
        return found[:, :: columns.step]

    def _bounds(self, key: tuple[slice, ...]) -> list[tuple[int, int]]:
        bounds = [part.indices(n)[:2] for part, n in zip(key, self.shape, strict=True)]
        return bounds if self.ndim == 3 else [(0, 1), *bounds]


def compute_into(
    path: Path, variables: dict[str, da.Array], marks: Path | None = None
) -> dict[str, Scratch]:
    """Compute variables together, with the scheduler that the caller has set.

    Parameters
    ----------
    path
        Of the raw file.
    variables
        Of shape ``(rows, columns)`` or ``(planes, rows, columns)``, the same rows and columns.
    marks
        File of one byte for each block, which says what is there from an earlier run: only the
        rest is computed. Without it everything is.
    """
    targets, first = {}, 0
    for name, each in variables.items():
        shape = tuple(int(n) for n in each.shape)
        targets[name] = Scratch(str(path), first, shape)
        first += shape[0] if len(shape) == 3 else 1
    path.touch()
    if marks is None:
        da.store(list(variables.values()), list(targets.values()), lock=False)
    else:
        _go_on(list(variables.values()), list(targets.values()), marks)
    return targets


def _go_on(variables: list[da.Array], targets: list[Scratch], marks: Path) -> None:
    """Compute the blocks that have no mark yet; each gets one when all of it is there."""
    chunks = variables[0].chunks[-2:]
    aligned: list[Any] = [
        each.rechunk(dict(zip((-2, -1), chunks, strict=True)))  # pyright: ignore[reportArgumentType]
        for each in variables
    ]
    places = [[0, *accumulate(sizes)] for sizes in chunks]
    blocks = list(product(*(range(len(sizes)) for sizes in chunks)))
    if not marks.exists():
        marks.write_bytes(bytes(len(blocks)))
    done = marks.read_bytes()
    tasks = []
    for number, (i, j) in enumerate(blocks):
        if done[number]:
            continue
        where = slice(places[0][i], places[0][i + 1]), slice(places[1][j], places[1][j + 1])
        parts = [each.blocks[(*[slice(None)] * (each.ndim - 2), i, j)] for each in aligned]
        tasks.append(delayed(_put)(parts, targets, where, marks, number))
    dask.compute(*tasks)  # pyright: ignore[reportPrivateImportUsage]


def _put(
    parts: list[np.ndarray],
    targets: list[Scratch],
    where: tuple[slice, slice],
    marks: Path,
    number: int,
) -> None:
    for part, target in zip(parts, targets, strict=True):
        target[(*[slice(None)] * (target.ndim - 2), *where)] = part
    with marks.open("r+b") as file:
        file.seek(number)
        file.write(b"\1")


def cannot_write(where: Path, error: Exception) -> str:
    """Say what a failed write means."""
    reason = getattr(error, "strerror", None) or str(error.__cause__ or error)
    return f"cannot write to {where}: {reason}; free some space or choose another place for OUT"
