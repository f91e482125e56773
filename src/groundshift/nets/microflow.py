"""MicroFlow: GeoFlowNet again and again, each time on what is left (Bertrand et al. 2025).

After each stage the secondary is seen through the displacement found so far, and the next stage
finds the rest: with weights of its own, as published (three stages, 114,007,536 parameters), or
with those of the first.
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from groundshift.errors import MatcherError
from groundshift.nets.geoflownet import GeoFlowNet, GeoFlowNetConfig


@dataclass(frozen=True)
class MicroFlowConfig:
    """Size of the net."""

    width: float = 1.0
    """Times as many channels as published."""
    iterations: int = 3
    """How often the rest is looked for."""
    shared: bool = False
    """Whether all stages have the same weights."""
    name: Literal["microflow"] = "microflow"

    def __post_init__(self) -> None:
        """Refuse no stage at all."""
        if self.iterations < 1:
            raise MatcherError("iterations must be at least 1")


class MicroFlow(nn.Module):
    """Stages that :func:`groundshift.nets.direct.regress` runs one after the other."""

    def __init__(self, config: MicroFlowConfig) -> None:
        super().__init__()
        self.config = config
        count = 1 if config.shared else config.iterations
        nets = [GeoFlowNet(GeoFlowNetConfig(config.width)) for _ in range(count)]
        self.nets = nn.ModuleList(nets)
        self.period, self.stride = nets[0].period, nets[0].stride
        self.bytes_per_pixel = nets[0].bytes_per_pixel

    @property
    def stages(self) -> list[GeoFlowNet]:
        """The nets, in the order in which they are used."""
        nets = list(self.nets)
        return nets * self.config.iterations if self.config.shared else nets  # type: ignore[return-value]

    @property
    def reach(self) -> int:
        """Pixels around a period of results that these depend on, at most."""
        return self.config.iterations * (self.stages[0].reach + self.period)
