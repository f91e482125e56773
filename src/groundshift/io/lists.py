"""Many images by few words: folders, patterns, lists in text files, and static STAC collections."""

import glob
import json
from pathlib import Path
from typing import Any, NamedTuple

from groundshift.errors import ImageError

SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2", ".img", ".nc")
"""Of the files of a folder that are images."""
HIDDEN = (".", "_")
"""What begins the names of files that are none."""


class Found(NamedTuple):
    """An image."""

    path: str
    """As GDAL understands it."""
    time: str | None = None
    """When it was taken, where the list says so."""


def find(words: list[str], asset: str | None = None) -> list[Found]:
    """List the images that words stand for, each once.

    Parameters
    ----------
    words
        Names of images; folders, of which all images are taken; patterns such as ``"S1_*.tif"``;
        ``.txt`` files with a name a line (blank lines and those that begin with # do not count),
        and STAC item collections or items in ``.json`` or ``.geojson``; names in these are relative
        to the file.
    asset
        Name of the asset of each STAC item.

    Raises
    ------
    ImageError
        If a word stands for nothing.
    """
    found: dict[str, Found] = {}
    for word in words:
        for each in _meant(word, asset):
            found.setdefault(each.path, each)
    return list(found.values())


def _meant(word: str, asset: str | None) -> list[Found]:
    path = Path(word)
    if path.is_dir() and path.suffix.lower() != ".zarr":
        return _of_folder(path)
    if any(sign in word for sign in "*?[") and not path.exists():
        names = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 - patterns may be absolute
        if not names:
            raise ImageError(f"no file has a name like {word}; check the pattern")
        return [Found(name) for name in names]
    match path.suffix.lower():
        case ".txt":
            return _of_text(path)
        case ".json" | ".geojson":
            return _of_stac(path, asset)
        case _:
            return [Found(word)]


def _of_folder(folder: Path) -> list[Found]:
    names = [
        str(path)
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(HIDDEN)
    ]
    if not names:
        raise ImageError(
            f"{folder} holds no image ({', '.join(SUFFIXES)}); give another folder, or the images"
        )
    return [Found(name) for name in names]


def _of_text(path: Path) -> list[Found]:
    lines = (line.strip() for line in _text(path).splitlines())
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise ImageError(f"{path} names no image; write one name a line")
    return [Found(_beside(path, name)) for name in names]


def _of_stac(path: Path, asset: str | None) -> list[Found]:
    """Return an asset of each item, with the item's date."""
    try:
        document = json.loads(_text(path))
        items = document.get("features", [document])
        found = [_of_item(path, item, asset) for item in items]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageError(
            f"{path} is no STAC item or item collection ({type(error).__name__}: {error}); give "
            "GeoJSON with features that have assets"
        ) from error
    if not found:
        raise ImageError(f"{path} has no items; give a collection with some")
    return found


def _of_item(path: Path, item: dict[str, Any], asset: str | None) -> Found:
    assets: dict[str, Any] = item["assets"]
    name = item.get("id", "an item")
    if asset is None:
        data = [key for key, value in assets.items() if "data" in (value.get("roles") or ())]
        chosen = data or list(assets)
        if len(chosen) != 1:
            raise ImageError(
                f"{name} of {path} has the assets {', '.join(assets)}; say which with asset="
            )
        asset = chosen[0]
    if asset not in assets:
        raise ImageError(f"{name} of {path} has no asset {asset!r}, but {', '.join(assets)}")
    about = item.get("properties") or {}
    return Found(
        _beside(path, assets[asset]["href"]),
        about.get("datetime") or about.get("start_datetime"),
    )


def _beside(path: Path, name: str) -> str:
    """Return a name that is relative to a file as others see it; addresses as they are."""
    if "://" in name or name.startswith("/vsi") or ":" in name.partition("/")[0]:
        return f"/vsicurl/{name}" if name.startswith(("http://", "https://")) else name
    return str(path.parent / name)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"{path} cannot be read: {error}") from error
