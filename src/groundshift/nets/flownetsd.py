"""FlowNetSD: FlowNetS for small displacements (Ilg et al. 2017).

Small kernels, no step in the first convolution, and a convolution before each displacement:
45,368,392 parameters, a displacement every 4 pixels. Montagnon et al. (2024) trained it on
synthetic earthquakes.
"""

from dataclasses import dataclass
from typing import Literal

from groundshift.nets.hourglass import DEEP, Hourglass, Plan, Step

PLAN = Plan(
    encoder=(
        Step("0", 64, 3, 1),
        Step("1", 64, 3, 2),
        Step("1_1", 128, 3, 1),
        Step("2", 128, 3, 2),
        Step("2_1", 128, 3, 1),
        Step("3", 256, 3, 2),
        Step("3_1", 256, 3, 1),
        *DEEP,
    ),
    decoder=(("5_1", 512), ("4_1", 256), ("3_1", 128), ("2_1", 64)),
    between=True,
)


@dataclass(frozen=True)
class FlowNetSDConfig:
    """Size of the net."""

    width: float = 1.0
    """Times as many channels as published."""
    name: Literal["flownetsd"] = "flownetsd"


class FlowNetSD(Hourglass):
    """FlowNetSD, a displacement every 4 pixels."""

    def __init__(self, config: FlowNetSDConfig) -> None:
        super().__init__(PLAN, config.width)
        self.config = config
