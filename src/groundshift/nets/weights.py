"""Weights of nets in files: what they were trained as, checked before they are used.

Safetensors are imported where they are needed: training does without.
"""

import json
from dataclasses import asdict
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import torch

from groundshift.errors import MatcherError
from groundshift.nets.any import AnyNet, config_of, net_of

HERE = Path(__file__).parent / "trained"
"""Weights that come with the package."""
STANDARD = "small"
"""Name of those that are used where none is given."""
COHERENCE = "coherence"
"""Name of those that tell coherence, not displacement."""
HASHES = "hashes.json"
"""SHA-256 of each file that comes with the package."""
NAME, STATE = "weights.safetensors", "state.pt"
"""In the folder of a run: weights, and what training goes on from. The newer one counts."""


class Trained(NamedTuple):
    """A net and how it came about."""

    net: AnyNet
    details: dict[str, Any]
    """Steps, calibration and so on, as they were saved."""


def names() -> tuple[str, ...]:
    """Name the weights of matchers that come with the package."""
    return tuple(sorted({path.stem for path in HERE.glob("*.safetensors")} - {COHERENCE}))


def keep(net: AnyNet, path: Path, details: dict[str, Any], *, half: bool = False) -> None:
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
    from safetensors.torch import save

    kind = torch.float16 if half else torch.float32
    tensors = {
        name: value.detach().to("cpu", kind).contiguous()
        for name, value in net.state_dict().items()
    }
    about = {"config": json.dumps(asdict(net.config)), "details": json.dumps(details)}
    about["digest"] = _digest(tensors)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(save(tensors, about))
    temporary.replace(path)


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    """SHA-256 of the numbers, in the order of their names."""
    found = sha256()
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].numpy().tobytes())
    return found.hexdigest()


def load(where: str, device: torch.device | str = "cpu") -> Trained:
    """Load weights by the name of those in the package, a run's folder, or a file.

    Raises
    ------
    MatcherError
        If there are none, or they are damaged or belong to another net.
    """
    path = _path(where)
    return _load(path, path.stat().st_mtime_ns, torch.device(device))


def is_run(where: str) -> bool:
    """Whether it is a folder with weights."""
    return is_folder(where) and any((Path(where) / name).is_file() for name in (NAME, STATE))


def is_folder(where: str) -> bool:
    """Whether it is a folder, and not for example an expression that is too long for one."""
    try:
        return bool(where) and Path(where).is_dir()
    except OSError:
        return False


def _path(where: str) -> Path:
    if where in names() or (where == COHERENCE and (HERE / f"{where}.safetensors").is_file()):
        return HERE / f"{where}.safetensors"
    path = Path(where)
    options = [path / NAME, path / STATE] if path.is_dir() else [path]
    there = [option for option in options if option.is_file()]
    if not there:
        own = ", ".join(names()) or "none"
        raise MatcherError(
            f"there are no weights {where!r}; give the folder of a training run, "
            f"or the name of weights that come with groundshift: {own}"
        )
    return max(there, key=lambda option: option.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _load(path: Path, _changed: int, device: torch.device) -> Trained:
    if path.parent == HERE:
        listed = HERE / HASHES
        known = json.loads(listed.read_text()) if listed.is_file() else {}
        if known.get(path.name) != sha256(path.read_bytes()).hexdigest():
            raise MatcherError(f"{path} is damaged; install groundshift again")
    try:
        config, tensors, details = (_from_state if path.suffix == ".pt" else _from_file)(path)
        net = net_of(config_of(config))
        net.load_state_dict(tensors)
    except Exception as error:  # whatever a file that is no such file leads to
        reason = " ".join(str(error).split())[:200]
        raise MatcherError(
            f"{path} holds no weights of this net ({reason}); copy them again if "
            "they are damaged, or use the version of groundshift that wrote them"
        ) from error
    net.eval().requires_grad_(requires_grad=False)
    return Trained(net.to(device), details)


def _from_file(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor], dict[str, Any]]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        about = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if about.get("digest") not in (None, _digest(tensors)):
        raise ValueError("its numbers have changed since they were written")
    numbers = {name: tensor.float() for name, tensor in tensors.items()}
    return json.loads(about["config"]), numbers, json.loads(about["details"])


def _from_state(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor], dict[str, Any]]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    details = {"step": state["step"], "guess": state.get("guess", "search")}
    return state["config"], state["average"], details
