"""Other packages that turn pairs into dates; run by a Python of their own: `inverters.py IN OUT`.

IN has `pairs` (n, 2), `days` (integers), `observed` (n, components, pixels), metres; OUT gets, for
each package that is there, positions at each date and the seconds of the processor that they took.
"""

import sys
import time
import types
from collections.abc import Callable

import numpy as np

WAVELENGTH = 4 * np.pi
"""Metres, with which radians are metres."""
FEW = 200
"""Pixels that TICOI is given."""


def insar_rs(pairs: np.ndarray, days: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Ordinary least squares (SBAS)."""
    import insar_rs as package  # pyright: ignore[reportMissingImports]

    first, second = (pairs[:, k].astype(np.uint32).tolist() for k in (0, 1))
    found = [
        package.invert_sbas(
            part[:, None].astype(np.float32), first, second, days.tolist(), WAVELENGTH
        )
        for part in observed.transpose(1, 0, 2)
    ]
    # Towards the satellite, which a growing phase goes away from.
    return -np.stack([np.asarray(each)[:, 0] for each in found], 1)


def dolphin(method: str) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Least squares, or least absolute residuals by ADMM, its default."""

    def invert(pairs: np.ndarray, days: np.ndarray, observed: np.ndarray) -> np.ndarray:
        _without_gdal()
        from dolphin import timeseries  # pyright: ignore[reportMissingImports]

        matrix = np.zeros((len(pairs), len(days) - 1), np.float32)
        for row, (i, j) in zip(matrix, pairs, strict=True):
            row[j - 1] = 1
            if i:
                row[i - 1] = -1
        found = [
            np.asarray(getattr(timeseries, method)(matrix, part[:, None].astype(np.float32))[0])
            for part in observed.transpose(1, 0, 2)
        ]
        rest = np.stack([each[:, 0] for each in found], 1)
        return np.concatenate([np.zeros_like(rest[:1]), rest])

    return invert


def ticoi(pairs: np.ndarray, days: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Robust least squares with a penalty on acceleration, coefficient 100, pixel by pixel."""
    from ticoi.core import inversion_core  # pyright: ignore[reportMissingImports]

    dates = np.datetime64("2000-01-01", "D") + days.astype("timedelta64[D]")
    both = np.repeat(observed, 2, 1)[:, :2] if observed.shape[1] == 1 else observed
    apart = (days[pairs[:, 1]] - days[pairs[:, 0]]).astype(float)
    found = np.full((len(days), 2, min(FEW, observed.shape[2])), np.nan)
    for k in range(found.shape[2]):
        error = np.ones((len(pairs), 2))
        values = np.concatenate([both[:, :, k], error, apart[:, None]], 1)
        steps = inversion_core(
            [dates[pairs], values], 0, k, dates_range=dates, regu="1", coef=100,
            detect_temporal_decorrelation=False, unit=1,
        )[1]  # fmt: skip
        increments = np.stack([steps["result_dx"], steps["result_dy"]], 1)
        found[:, :, k] = np.concatenate([np.zeros((1, 2)), np.cumsum(increments, 0)])
    return found[:, : observed.shape[1]]


def _without_gdal() -> None:
    """Let dolphin begin where GDAL's own bindings, which are not needed here, are missing."""

    class Missing(types.ModuleType):
        def __getattr__(self, name: str) -> "Missing":
            if name.startswith("__"):
                raise AttributeError(name)
            return Missing(name)

        def __call__(self, *_: object, **__: object) -> "Missing":
            return self

    try:
        import osgeo  # noqa: F401  # pyright: ignore[reportMissingImports, reportMissingModuleSource]
    except ImportError:
        sys.modules["osgeo"] = Missing("osgeo")
        for name in ("gdal", "osr", "ogr", "gdal_array", "gdalconst"):
            sys.modules[f"osgeo.{name}"] = Missing(name)


METHODS = {
    "insar-rs, least squares": insar_rs,
    "dolphin, least squares": dolphin("invert_stack"),
    "dolphin, l1 (its default)": dolphin("invert_stack_l1"),
    "TICOI, robust": ticoi,
}


def main(source: str, target: str) -> None:
    """Run what is there."""
    given = np.load(source)
    pairs, days, observed = (given[name] for name in ("pairs", "days", "observed"))
    made = {}
    for name, method in METHODS.items():
        try:
            method(pairs, days, observed[:, :, :FEW])  # compiles
        except ImportError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        began = time.process_time()
        made[name] = method(pairs, days, observed)
        made[f"{name} seconds"] = time.process_time() - began
    np.savez(target, **made)


if __name__ == "__main__":
    main(*sys.argv[1:])
