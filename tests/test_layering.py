"""Imports point down: see docs/design.md, "Layers"."""

import ast
from pathlib import Path

import pytest

import groundshift

LAYERS = {
    "types": 0, "errors": 0, "process": 0, "boxes": 0,
    "interpolate": 1, "filters": 1, "matchers": 1, "synth": 1, "metrics": 1, "nets": 1,
    "coherent": 1, "inversion": 1,
    "grid": 2, "field": 2, "maps": 2, "timeseries": 2, "quality": 2, "geometry": 2, "stations": 2,
    "io": 3, "tile": 3, "config": 3, "settings": 3, "plot": 3, "gallery": 3,
    "api": 4, "benchmark": 4, "train": 4,
    "cli": 5,
}  # fmt: skip
GEOSPATIAL = {
    "xarray",
    "rasterio",
    "odc",
    "dask",
    "zarr",
    "matplotlib",
    "h5netcdf",
    "typer",
    "pyproj",
}
HEAVY = GEOSPATIAL - {"xarray", "odc", "pyproj"}
SOURCE = Path(groundshift.__file__).parent


def module_layer(path: Path) -> tuple[str, int] | None:
    name = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    return None if name == "__init__" else (name, LAYERS[name])


def imported(path: Path) -> set[str]:
    """Absolute names of everything `path` imports, wherever in the file."""
    package = ("groundshift", *path.relative_to(SOURCE).parent.parts)
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE))
)
def test_imports_point_down(path: Path) -> None:
    home = module_layer(path)
    if home is None:
        return
    name, layer = home
    for target in imported(path):
        parts = target.split(".")
        if parts[0] == "groundshift" and len(parts) > 1 and parts[1] in LAYERS and parts[1] != name:
            assert LAYERS[parts[1]] <= layer, f"{name} (layer {layer}) imports {target}"
        if layer <= 1:
            assert parts[0] not in GEOSPATIAL, f"{name} must import on a bare torch machine"
        if layer == 2:
            assert parts[0] not in HEAVY, f"{name} may use xarray and odc-geo, not {parts[0]}"
