"""What a run is continued from: nets, optimiser and step, in one file."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from groundshift.errors import MatcherError, OutputError
from groundshift.nets.any import AnyConfig, AnyNet, net_of
from groundshift.nets.fusion import FusionConfig
from groundshift.nets.weights import STATE, load
from groundshift.train.config import TrainConfig


@dataclass
class State:
    """Everything that changes while training."""

    net: AnyNet
    average: AnyNet
    """Its moving average."""
    optimizer: torch.optim.Optimizer
    guess: str
    """First guesses, as in the config."""
    step: int = 0
    seconds: float = 0.0

    @classmethod
    def begin(cls, config: TrainConfig, device: torch.device | str = "cpu") -> "State":
        """Make nets and optimiser as they are before the first step."""
        torch.manual_seed(config.seed)
        net, average = (net_of(config.net).to(device) for _ in range(2))
        if config.start:
            first = load(config.start).net
            if _tensors(first.config) != _tensors(config.net):
                raise MatcherError(
                    f"the weights {config.start!r} belong to net={asdict(first.config)}; start "
                    "with the same net, or from nothing"
                )
            net.load_state_dict(first.state_dict())
        average.load_state_dict(net.state_dict())
        average.requires_grad_(requires_grad=False)
        optimizer = torch.optim.AdamW(net.parameters(), lr=config.rate, weight_decay=config.decay)
        return cls(net, average, optimizer, config.guess)

    def save(self, run: Path) -> None:
        """Write the checkpoint of a run folder, under a temporary name first."""
        packed = {
            "config": asdict(self.net.config),
            "guess": self.guess,
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        temporary = run / f".{STATE}.part"
        torch.save(packed, temporary)
        temporary.replace(run / STATE)

    def go_on(self, run: Path) -> bool:
        """Take over the checkpoint of a run folder, if there is one."""
        path = run / STATE
        if not path.exists():
            return False
        device = next(self.net.parameters()).device
        try:
            packed: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
            self.net.load_state_dict(packed["net"])
            self.average.load_state_dict(packed["average"])
            self.optimizer.load_state_dict(packed["optimizer"])
            self.step, self.seconds = packed["step"], packed["seconds"]
        except (OSError, RuntimeError, KeyError, ValueError, EOFError, UnpicklingError) as error:
            raise OutputError(
                f"{path} is damaged ({type(error).__name__}) and cannot be gone on from; restore "
                "it from a copy, or choose another folder"
            ) from error
        return True


def _tensors(config: AnyConfig) -> AnyConfig:
    """Say what decides the shapes of weights alone."""
    return replace(config, iterations=1) if isinstance(config, FusionConfig) else config
