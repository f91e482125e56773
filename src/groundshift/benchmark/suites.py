"""What is measured: fixed lists of cases by name."""

from groundshift.benchmark.cases import Case
from groundshift.benchmark.views import MODES, Speckle, Sunlight, View

COHERENCES = (0.95, 0.8, 0.6, 0.4, 0.3)
VIEWS: dict[str, View] = {
    "radar, coherence 0.9": Speckle("SLC x2", 0.9),
    "radar, coherence 0.6": Speckle("SLC x2", 0.6),
    "GRD, coherence 0.7": Speckle("GRD", 0.7),
    "optical, pre/pre": Sunlight(second_date=False),
    "optical, pre/post": Sunlight(second_date=True),
}
"""How motions of one kind are seen."""


def speckle() -> tuple[Case, ...]:
    """Each product at each coherence: a shift, smooth waves, and a rough fault step."""
    return tuple(
        Case("speckle", mode, f"{coherence:g} {family}", family, Speckle(mode, coherence))
        for mode in MODES
        for family in ("constant", "waves", "fault")
        for coherence in COHERENCES
    )


def optical() -> tuple[Case, ...]:
    """Invented relief: the same date moved, and a second date; two levels of noise."""
    return tuple(
        Case("optical", f"{table}, noise {noise:.0%}", family, family, Sunlight(second, noise))
        for table, second in (("pre/pre", False), ("pre/post", True))
        for noise in (0.02, 0.2)
        for family in ("constant", "ramp", "waves", "brownian")
    )


def faults() -> tuple[Case, ...]:
    """Earthquakes that break the surface, at 4 to 30 m per pixel."""
    return _seen("faults", "earthquake", pairs=6)


def glaciers() -> tuple[Case, ...]:
    """Streams between standing banks, up to 32 px."""
    return _seen("glaciers", "glacier", pairs=4)


def landslides() -> tuple[Case, ...]:
    """Slides with sharp and blurred outlines, up to 8 px."""
    return _seen("landslides", "landslide", pairs=4)


def zero() -> tuple[Case, ...]:
    """Stable ground, also where it decorrelates."""
    views = {
        **VIEWS,
        "radar, coherence 0.4": Speckle("SLC x2", 0.4),
        "GRD, coherence 0.4": Speckle("GRD", 0.4),
    }
    return tuple(Case("zero", "stable ground", name, "zero", view) for name, view in views.items())


SUITES = {
    "speckle": speckle,
    "optical": optical,
    "faults": faults,
    "glaciers": glaciers,
    "landslides": landslides,
    "zero": zero,
}
"""Synthetic suites by name."""
REACH = {"faults": 12, "glaciers": 36, "landslides": 12}
"""Largest displacement to look for, pixels; `LEAST_REACH` where none is given."""
LEAST_REACH = 8


def _seen(suite: str, family: str, pairs: int) -> tuple[Case, ...]:
    """Look at one family in every way."""
    return tuple(
        Case(suite, family, name, family, view, pairs=pairs) for name, view in VIEWS.items()
    )
