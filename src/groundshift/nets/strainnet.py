"""StrainNet: FlowNetS without its first steps, for displacements below a pixel.

After Boukhtache et al. (2021): "h" keeps the second step and gives a displacement every 2 pixels,
"f" neither and gives one for every pixel (38,662,992 parameters both), and "l" is a light one with
fewer levels (672,216 parameters, every 2 pixels).
"""

from dataclasses import dataclass
from typing import Literal

from groundshift.errors import MatcherError
from groundshift.nets.hourglass import DEEP, JOINED, Hourglass, Plan, Step

LAST = (
    Step("3", 256, 5, 2),
    Step("3_1", 256, 3, 1),
    *DEEP,
)
PLANS = {
    "f": Plan((Step("1", 64, 7, 1), Step("2", 128, 5, 1), *LAST), JOINED),
    "h": Plan((Step("1", 64, 7, 1), Step("2", 128, 5, 2), *LAST), JOINED),
    "l": Plan(
        (Step("1", 48, 7, 1), Step("2", 64, 5, 2), Step("3", 128, 5, 2), Step("4", 128, 3, 2)),
        (("3", 64), ("2", 32)),
    ),
}


@dataclass(frozen=True)
class StrainNetConfig:
    """Which one, and its size."""

    variant: str = "f"
    """"f", "h" or "l"."""
    width: float = 1.0
    """Times as many channels as published."""
    name: Literal["strainnet"] = "strainnet"

    def __post_init__(self) -> None:
        """Refuse others."""
        if self.variant not in PLANS:
            raise MatcherError(
                f"variant={self.variant!r} is no StrainNet; pass one of {', '.join(PLANS)}"
            )


class StrainNet(Hourglass):
    """StrainNet-f, -h or -l."""

    def __init__(self, config: StrainNetConfig) -> None:
        super().__init__(PLANS[config.variant], config.width)
        self.config = config
