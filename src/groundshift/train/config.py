"""What is trained on what, and how; the sizes that come with the package."""

from dataclasses import dataclass, field

from groundshift.errors import GroundshiftError
from groundshift.nets.any import AnyConfig
from groundshift.nets.coherence import CoherenceConfig
from groundshift.nets.fusion import FusionConfig
from groundshift.nets.losses import Weights
from groundshift.synth.recipe import Recipe

GUESSES = ("search", "none")
OBJECTIVES = ("truth", "alike", "coherence")
FIRST = 8
"""Batches that are rendered before the first step."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a run follows from, but the texture."""

    net: AnyConfig = field(default_factory=FusionConfig)
    """Which net, by its name, and its size: "fusion", or one of the literature, each with keys of
    its own: "flownets", "flownetsd", "strainnet", "geoflownet",
    "unet", "unetpp", "microflow", "ccressiam", "voxelmorph"; or "coherence"."""
    recipe: Recipe = field(default_factory=lambda: Recipe(size=256))
    """Samples to train on."""
    objective: str = "truth"
    """What the net is trained for: "truth", or "alike", images that are alike under a smooth
    displacement, for which no sample's truth is used; not with "fusion". The net "coherence"
    has "coherence"."""
    smooth: float = 3.0
    """Weight of smoothness in "alike": with a tenth of it noise is taken for motion, with ten times
    as much little is moved."""
    weights: Weights = field(default_factory=Weights)
    """Of the parts of the loss of "fusion"."""
    start: str = ""
    """Weights to start from (a name, a file or a run folder), for fine-tuning; none by default."""
    steps: int = 40_000
    """Of the whole run."""
    batch: int = 3
    """Samples in a step, on each device."""
    uses: int = 9
    """How often a sample is used, on average: rendering takes about as long as a step."""
    pool: int = 384
    """Samples that batches are drawn from."""
    guess: str = "search"
    """First guesses: "search", or "none" for a net that goes without one."""
    spoiled: float = 0.2
    """Share of batches whose first guess is spoiled truth, which is what no search found."""
    spoil: float = 0.6
    """Deviation of its error, at most, pixels. Nets that regress learn from what is larger: with
    errors as small as a search leaves they take thousands of steps to find that there is any."""
    rate: float = 1.5e-3
    """Largest learning rate."""
    warmup: int = 300
    """Steps until the largest rate."""
    cool: float = 0.3
    """Share of the steps, the last ones, in which the rate falls to nothing."""
    single: float = 0.4
    """Share of the steps, the first ones, that train one iteration alone, on crops."""
    crop: int = 208
    """Side of those crops, pixels: more steps for the same work, while each still tells a lot."""
    decay: float = 1e-4
    """Of weights (AdamW)."""
    clip: float = 1.0
    """Largest norm of a gradient."""
    average: float = 0.999
    """Of the moving average of the weights, which is what is used in the end."""
    seed: int = 0
    """Of all random numbers but the samples'."""
    save: int = 250
    """Steps between checkpoints."""
    validate: int = 2000
    """Steps between validations."""
    samples: int = 48
    """Samples of the validation split to validate on; sigma is calibrated on four times as many,
    and not told with none."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, before a long run begins."""
        for name in ("steps", "batch", "uses", "pool", "save", "validate", "rate", "clip", "spoil"):
            if getattr(self, name) <= 0:
                raise GroundshiftError(f"{name}={getattr(self, name)} must be above 0")
        for name in ("smooth", "decay", "warmup", "samples"):
            if getattr(self, name) < 0:
                raise GroundshiftError(f"{name}={getattr(self, name)} must be 0 or more")
        self._check_objective()
        if self.guess not in GUESSES:
            raise GroundshiftError(f"guess={self.guess!r} is not known; pass 'search' or 'none'")
        for name in ("cool", "single", "average", "spoiled"):
            if not 0 <= getattr(self, name) <= 1:
                raise GroundshiftError(f"{name}={getattr(self, name)} is no share; pass 0 to 1")
        if self.recipe.size % 16:
            raise GroundshiftError(
                f"recipe.size={self.recipe.size} must be a multiple of 16, such as 192 or 256"
            )
        if self.crop % 16 or self.crop < 16:
            raise GroundshiftError(f"crop={self.crop} must be a multiple of 16, such as 128 or 160")

    def _check_objective(self) -> None:
        if self.objective not in OBJECTIVES:
            raise GroundshiftError(
                f"objective={self.objective!r} is not known; choose one of {', '.join(OBJECTIVES)}"
            )
        if (self.objective == "coherence") != isinstance(self.net, CoherenceConfig):
            raise GroundshiftError(
                f"objective={self.objective!r} and net={self.net.name!r} do not go together; "
                "write objective: coherence with net: {name: coherence}, and with no other"
            )
        if self.objective == "alike" and isinstance(self.net, FusionConfig):
            raise GroundshiftError(
                "objective='alike' is not for 'fusion', which tells a sigma; "
                "pass another net, such as {name: voxelmorph}"
            )

    @property
    def first(self) -> int:
        """Steps that train one iteration on crops."""
        return round(self.single * self.steps)

    def side(self, step: int) -> int:
        """Pixels of what a step trains on, each way."""
        return min(self.crop, self.recipe.size) if step < self.first else self.recipe.size

    def rendered(self, step: int) -> int:
        """Count samples rendered before a step, so that each is used as often as it should be.

        A crop counts as the share of the sample that it is.
        """
        share = (self.side(0) / self.recipe.size) ** 2 if self.first else 1.0
        early = min(step, self.first)
        used = self.batch * (early * share + (step - early)) / self.uses
        return min(FIRST * self.batch, self.pool) + int(used)
