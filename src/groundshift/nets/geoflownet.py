"""GeoFlowNet: StrainNet-f with small kernels (Montagnon et al. 2024; Bertrand et al. 2025).

All kernels are of 3 x 3; 38,002,512 parameters, a displacement for every pixel. It is what
:mod:`groundshift.nets.microflow` iterates.
"""

from dataclasses import dataclass
from typing import Literal

from groundshift.nets.hourglass import DEEP, JOINED, Hourglass, Plan, Step

PLAN = Plan(
    encoder=(
        Step("1", 64, 3, 1),
        Step("2", 128, 3, 1),
        Step("3", 256, 3, 2),
        Step("3_1", 256, 3, 1),
        *DEEP,
    ),
    decoder=JOINED,
)


@dataclass(frozen=True)
class GeoFlowNetConfig:
    """Size of the net."""

    width: float = 1.0
    """Times as many channels as published."""
    name: Literal["geoflownet"] = "geoflownet"


class GeoFlowNet(Hourglass):
    """GeoFlowNet, a displacement for every pixel."""

    def __init__(self, config: GeoFlowNetConfig) -> None:
        super().__init__(PLAN, config.width)
        self.config = config
