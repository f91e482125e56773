"""A raw file that many threads fill while a result is computed.

A field is first computed, all variables in one pass, into such a file beside the output, and then
put into its format. That keeps memory small, computes each tile once, and tells the two kinds of
failure apart: what breaks in the first step that is not a full disk comes from the computation,
what breaks in the second comes from writing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np

from groundshift.errors import OutputError

TYPE = np.dtype("float32")


@dataclass(frozen=True)
class Scratch:
    """One plane of a raw file, row by row, float32; an array that can be read and written."""

    path: str
    plane: int
    shape: tuple[int, int]

    dtype = TYPE
    ndim = 2

    @property
    def offset(self) -> int:
        """First byte."""
        return self.plane * self.shape[0] * self.line

    @property
    def line(self) -> int:
        """Bytes per row."""
        return self.shape[1] * TYPE.itemsize

    def __setitem__(self, key: tuple[slice, slice], block: np.ndarray) -> None:
        """Write a block."""
        (top, bottom), (left, right) = self._bounds(key)
        rows = np.ascontiguousarray(np.broadcast_to(block, (bottom - top, right - left)), TYPE)
        try:
            with Path(self.path).open("r+b") as file:
                for row, values in enumerate(rows, top):
                    file.seek(self.offset + row * self.line + left * TYPE.itemsize)
                    file.write(values.tobytes())
        except OSError as error:
            raise OutputError(cannot_write(Path(self.path).parent.parent, error)) from error

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read a block."""
        (top, bottom), (left, right) = self._bounds(key)
        count = (bottom - top) * self.shape[1]
        rows = np.fromfile(self.path, TYPE, count, offset=self.offset + top * self.line)
        return rows.reshape(-1, self.shape[1])[:, left:right]

    def _bounds(self, key: tuple[slice, slice]) -> tuple[tuple[int, int], ...]:
        return tuple(part.indices(n)[:2] for part, n in zip(key, self.shape, strict=True))


def plane_name(name: str, number: int) -> str:
    """Name a plane of a variable that has several."""
    return f"{name}/{number}"


def compute_into(path: Path, planes: dict[str, da.Array]) -> dict[str, Scratch]:
    """Compute planes of one shape together, with the scheduler that the caller has set."""
    shapes = {name: (int(p.shape[0]), int(p.shape[1])) for name, p in planes.items()}
    targets = {n: Scratch(str(path), i, shapes[n]) for i, n in enumerate(planes)}
    path.touch()
    da.store(list(planes.values()), list(targets.values()), lock=False)
    return targets


def cannot_write(where: Path, error: Exception) -> str:
    """Say what a failed write means."""
    reason = getattr(error, "strerror", None) or str(error.__cause__ or error)
    return f"cannot write to {where}: {reason}; free some space or choose another place for OUT"
