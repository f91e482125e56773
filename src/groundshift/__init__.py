"""Dense ground displacement between satellite images, with an honest uncertainty.

>>> import groundshift
>>> reference = groundshift.open_image("20200207.tif")  # doctest: +SKIP
>>> secondary = groundshift.open_image("20200227.tif")  # doctest: +SKIP
>>> field = groundshift.track(reference, secondary)  # doctest: +SKIP
>>> groundshift.save(field, "displacement.tif")  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundshift.api import coherence as coherence
    from groundshift.api import decay as decay
    from groundshift.api import export as export
    from groundshift.api import fit as fit
    from groundshift.api import invert as invert
    from groundshift.api import labels as labels
    from groundshift.api import simulate as simulate
    from groundshift.api import stack as stack
    from groundshift.api import track as track
    from groundshift.field import velocity as velocity
    from groundshift.io import open_field as open_field
    from groundshift.io import open_image as open_image
    from groundshift.io import save as save

    __version__: str

# Looked up on first use: the kernels must import where there is no geospatial package.
_HOMES = {
    "coherence": "groundshift.api",
    "decay": "groundshift.api",
    "export": "groundshift.api",
    "fit": "groundshift.api",
    "invert": "groundshift.api",
    "labels": "groundshift.api",
    "open_field": "groundshift.io",
    "open_image": "groundshift.io",
    "save": "groundshift.io",
    "simulate": "groundshift.api",
    "stack": "groundshift.api",
    "track": "groundshift.api",
    "velocity": "groundshift.field",
}
__all__ = [
    "coherence",
    "decay",
    "export",
    "fit",
    "invert",
    "labels",
    "open_field",
    "open_image",
    "save",
    "simulate",
    "stack",
    "track",
    "velocity",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("groundshift")
    if name not in _HOMES:
        raise AttributeError(f"module 'groundshift' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
