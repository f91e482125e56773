"""Weights of nets in files: what they were trained as, checked before they are used."""

import json
from dataclasses import asdict
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from groundshift.errors import MatcherError
from groundshift.nets.fusion import Fusion, FusionConfig

HERE = Path(__file__).parent / "trained"
"""Weights that come with the package."""
NAME = "weights.safetensors"
"""Of the weights in the folder of a run."""
HASHES = "hashes.json"
"""SHA-256 of each file that comes with the package."""


class Trained(NamedTuple):
    """A net and how it came about."""

    net: Fusion
    details: dict[str, Any]
    """Steps, calibration and so on, as they were saved."""


def names() -> tuple[str, ...]:
    """Name the weights that come with the package."""
    return tuple(sorted(path.stem for path in HERE.glob("*.safetensors")))


def keep(net: Fusion, path: Path, details: dict[str, Any], *, half: bool = False) -> None:
    """Write weights, under a temporary name first.

    Parameters
    ----------
    net
        The net.
    path
        File to write.
    details
        What JSON can hold.
    half
        Store 16-bit numbers: half the size.
    """
    kind = torch.float16 if half else torch.float32
    tensors = {
        name: value.detach().to("cpu", kind).contiguous()
        for name, value in net.state_dict().items()
    }
    about = {"config": json.dumps(asdict(net.config)), "details": json.dumps(details)}
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(save(tensors, about))
    temporary.replace(path)


def load(where: str) -> Trained:
    """Load weights by the name of those in the package, a run's folder, or a file.

    Raises
    ------
    MatcherError
        If there are none, or they are damaged or belong to another net.
    """
    path = _path(where)
    return _load(path, path.stat().st_mtime_ns)


def _path(where: str) -> Path:
    if where in names():
        return HERE / f"{where}.safetensors"
    path = Path(where)
    path = path / NAME if path.is_dir() else path
    if not path.is_file():
        own = ", ".join(names()) or "none"
        raise MatcherError(
            f"there are no weights {where!r}; give the folder of a run of `groundshift train`, "
            f"or the name of weights that come with groundshift: {own}"
        )
    return path


@lru_cache(maxsize=8)
def _load(path: Path, _changed: int) -> Trained:
    data = path.read_bytes()
    if path.parent == HERE:
        known = json.loads((HERE / HASHES).read_text())
        if known.get(path.name) != sha256(data).hexdigest():
            raise MatcherError(f"{path} is damaged; install groundshift again")
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        config = json.loads(about["config"])
        config = FusionConfig(
            **{k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
        )
        net = Fusion(config)
        net.load_state_dict(tensors)
        details = json.loads(about["details"])
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise MatcherError(
            f"{path} holds no weights of this net ({reason}); train with this version of "
            "groundshift, or use the version that wrote them"
        ) from error
    net.eval().requires_grad_(requires_grad=False)
    return Trained(net.to(memory_format=torch.channels_last), details)
