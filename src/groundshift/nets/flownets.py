"""FlowNetS: the first net that regressed displacement from two images (Dosovitskiy et al. 2015).

Montagnon et al. (2024) trained it on synthetic earthquakes, with two grey images instead of two in
colour: 38,662,992 parameters, a displacement every 4 pixels.
"""

from dataclasses import dataclass
from typing import Literal

from groundshift.nets.hourglass import DEEP, JOINED, Hourglass, Plan, Step

PLAN = Plan(
    encoder=(
        Step("1", 64, 7, 2),
        Step("2", 128, 5, 2),
        Step("3", 256, 5, 2),
        Step("3_1", 256, 3, 1),
        *DEEP,
    ),
    decoder=JOINED,
)


@dataclass(frozen=True)
class FlowNetSConfig:
    """Size of the net."""

    width: float = 1.0
    """Times as many channels as published."""
    name: Literal["flownets"] = "flownets"


class FlowNetS(Hourglass):
    """FlowNetS, a displacement every 4 pixels."""

    def __init__(self, config: FlowNetSConfig) -> None:
        super().__init__(PLAN, config.width)
        self.config = config
