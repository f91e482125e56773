"""A folder beside an output, of what is done so far: whoever repeats the command goes on.

It is ``OUT.partial``, with a file that says what is being made. A lock, which the system takes back
from a process however that ends, keeps others from it meanwhile.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from groundshift.errors import OutputError
from groundshift.io.scratch import cannot_write

SUFFIX = ".partial"
PLAN, LOCK = "plan.json", "lock"
WIDTH = 160
"""Characters of a value in a message, at most."""
REMEDY = "repeat the first command to go on with it, delete it to begin anew, or choose another OUT"


def folder_of(out: Path) -> Path:
    """Return the folder of what is done so far."""
    return out.with_name(out.name + SUFFIX)


@contextmanager
def work_on(
    out: Path, facts: dict[str, Any], before: Callable[[], None] | None = None
) -> Iterator[Path]:
    """Begin, or go on; the folder stays for the next run unless it is deleted inside.

    Parameters
    ----------
    out
        The output.
    facts
        What decides on it, plain values by name.
    before
        Called first, while others are kept away.

    Raises
    ------
    OutputError
        If it was begun with other facts, or somebody else is at work on it.
    """
    folder = folder_of(out)
    plan, lock = folder / PLAN, FileLock(folder / LOCK)
    try:
        folder.mkdir(exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(
            f"another run is at work on {folder}; wait for it, or choose another OUT"
        ) from None
    except OSError as error:
        raise OutputError(cannot_write(out.parent, error)) from error
    try:
        _begin(folder, facts, before)
        yield folder
    finally:
        if not plan.exists():
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def clear(folder: Path) -> None:
    """Delete a folder whose output is there; first the plan, without which nothing counts."""
    (folder / PLAN).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _begin(folder: Path, facts: dict[str, Any], before: Callable[[], None] | None) -> None:
    plan = folder / PLAN
    try:
        if not plan.exists():
            _empty(folder)
        if before is not None:
            before()
        if not plan.exists():
            write(plan, facts)
        compare(folder, read(plan), facts, REMEDY)
    except OSError as error:
        raise OutputError(cannot_write(folder.parent, error)) from error


def _empty(folder: Path) -> None:
    """Delete what a run left that was stopped while it cleaned up."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def print_of(path: Path) -> list[Any]:
    """Tell a file, or a folder of Zarr, from others and from a later version of itself."""
    inside = path / "zarr.json"
    about = (inside if inside.exists() else path).stat()
    return [path.name, about.st_size, about.st_mtime_ns]


def compare(
    where: Path,
    begun: dict[str, Any],
    asked: dict[str, Any],
    remedy: str,
    but: tuple[str, ...] = (),
) -> None:
    """Refuse to go on with something else; say in what it differs."""
    asked = json.loads(json.dumps(asked))
    for name in {**asked, **begun}:
        if name not in but and begun.get(name) != asked.get(name):
            have, want = _apart(begun.get(name), asked.get(name))
            raise OutputError(f"{where} was begun with {name} {have} and not {want}; {remedy}")


def read(path: Path) -> dict[str, Any]:
    """Read what `write` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def write(path: Path, facts: dict[str, Any]) -> None:
    """Write a file that is there as a whole or not at all."""
    fresh = path.with_suffix(".fresh")
    fresh.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    fresh.replace(path)


def _apart(one: Any, other: Any) -> tuple[str, str]:
    """Show two values; of lists what only one of them has, where that tells them apart.

    Examples
    --------
    >>> _apart(["a.tif", "b.tif"], ["a.tif", "c.tif"]), _apart(3, None)
    (('["b.tif"]', '["c.tif"]'), ('3', 'null'))
    >>> _apart(["a.tif"], ["a.tif", "b.tif"])
    ('["a.tif"]', '["a.tif", "b.tif"]')
    """
    if isinstance(one, list) and isinstance(other, list):
        own = (
            [each for each in one if each not in other],
            [each for each in other if each not in one],
        )
        if all(own):
            one, other = own
    return _short(one), _short(other)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
