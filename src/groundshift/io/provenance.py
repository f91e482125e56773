"""Where images come from and under which licence, as a ``SOURCE.txt`` beside them tells it.

The text is free. Lines such as ``licence: CC-BY-4.0`` (also ``source``, ``sensor``, ``kind``) are
taken at their word; otherwise names of licences and sensors are looked for in the text.
"""

import re
from pathlib import Path
from typing import NamedTuple

FILE = "SOURCE.txt"
LONGEST = 400
"""Characters of a source that are kept."""

_LICENCE = re.compile(
    r"Apache-2\.0|\bMIT\b(?!-)|\bL?GPL-[\d.]+|\bBSD(?:-\d-Clause|-style)?|\bCeCILL(?:-[BC])?|"
    r"\bCC0|\bCC[- ]BY(?:-[A-Z]+)*(?:-\d\.\d)?|public domain|no licen[cs]e file|no licen[cs]e\b",
    re.IGNORECASE,
)
_SENSOR = re.compile(
    r"Sentinel-?[12]|Landsat(?:[- ]?\d)?|NAIP|Envisat|UAVSAR|AIRSAR|Pi-SAR|MiniSAR|Gaofen-?\d|"
    r"TerraSAR-X|TanDEM-X|Capella|ICEYE|Umbra|PlanetScope|SPOT|Pl[eé]iades|WorldView|ERS-?[12]|"
    r"ALOS(?:-\d)?|Radarsat(?:-\d)?|COSMO-SkyMed|NISAR",
    re.IGNORECASE,
)
_LINE = re.compile(
    r"^\s*(source|licen[cs]e|sensor|kind)\s*:\s*(.+?)\s*$", re.MULTILINE | re.IGNORECASE
)


class Provenance(NamedTuple):
    """What is known about an image besides its pixels."""

    source: str
    licence: str = "unknown"
    sensor: str = "unknown"
    kind: str | None = None


def provenance(path: Path, root: Path) -> Provenance:
    """Read the nearest ``SOURCE.txt`` between an image and a folder that holds it.

    Without one, the source is the image's folder.
    """
    text = ""
    for folder in path.parents:
        if (folder / FILE).is_file():
            text = (folder / FILE).read_text(encoding="utf-8", errors="replace")
        if text or folder == root:
            break
    lines = {key.lower().replace("license", "licence"): v for key, v in _LINE.findall(text)}
    sensors = _names(_SENSOR, path.name) or _names(_SENSOR, text)
    return Provenance(
        source=lines.get("source", " ".join(text.split())[:LONGEST] or path.parent.name),
        licence=lines.get("licence", _names(_LICENCE, text) or "unknown"),
        sensor=lines.get("sensor", sensors or "unknown"),
        kind=lines.get("kind"),
    )


def _names(pattern: re.Pattern[str], text: str) -> str:
    """List what a pattern finds, each name once."""
    found: dict[str, str] = {}
    for match in pattern.findall(text):
        found.setdefault(match.lower(), match)
    return ", ".join(found.values())
