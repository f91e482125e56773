"""Where outputs are made: beside their place, which they take when they are complete."""

import glob
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from groundshift.errors import OutputError
from groundshift.io import partial
from groundshift.io.scratch import cannot_write


@contextmanager
def workshop(out: Path) -> Iterator[Path]:
    """Make a folder beside the output, on the same disk, that is gone in the end.

    What runs left behind that were killed is gone as well.
    """
    for old in out.parent.glob(f".{glob.escape(out.name)}.*/{partial.LOCK}"):
        with suppress(OSError, Timeout), FileLock(old).acquire(timeout=0):
            shutil.rmtree(old.parent, ignore_errors=True)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise OutputError(cannot_write(out.parent, error)) from error
    try:
        with FileLock(folder / partial.LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put(result: Path, out: Path, folder: Path) -> None:
    """Rename; a folder cannot replace a folder, so an old one steps aside for an instant."""
    if not out.is_dir():
        result.replace(out)
        return
    old = folder / "old"
    shutil.rmtree(old, ignore_errors=True)  # of a run that was killed here
    out.replace(old)
    try:
        result.replace(out)
    except OSError:
        old.replace(out)
        raise


def check_kind(out: Path, *, folder: bool) -> None:
    """Refuse to put a file where a folder is, or a folder where a file is."""
    if out.exists() and out.is_dir() != folder:
        kind = "folder" if out.is_dir() else "file"
        raise OutputError(f"{out} exists and is a {kind}; choose another name")


def check_space(out: Path, size: int) -> None:
    """Refuse to begin what the disk has no room for."""
    free = shutil.disk_usage(out.parent).free
    if free < size:
        raise OutputError(
            f"cannot write to {out.parent}: {_bytes(size)} are needed and {_bytes(free)} are free; "
            "free some space or choose another place for OUT"
        )


def _bytes(size: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"
