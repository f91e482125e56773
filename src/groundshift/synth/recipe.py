"""Random pairs: what is drawn and in which proportions; a number says which one it is.

Sample ``i`` of a recipe is the same whoever draws it, in whatever order: its random numbers follow
from the recipe's seed, its split and ``i`` alone. What the numbers of a batch of another device are
differs, since each device has its own stream.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np
import torch

from groundshift.errors import GroundshiftError
from groundshift.synth import optical_scene, radar_scene
from groundshift.synth.bank import Bank
from groundshift.synth.earthquake import earthquake
from groundshift.synth.families import FAMILIES
from groundshift.synth.measured import MotionField, measured
from groundshift.synth.motions import Motion, Scaled
from groundshift.synth.optical_scene import OpticalShares
from groundshift.synth.radar_scene import PRODUCTS, RadarShares
from groundshift.synth.sample import Sample
from groundshift.synth.texture import Texture
from groundshift.synth.volcano import volcano

SPLITS = {"train": 0, "validation": 1, "test": 2}
KNOWN = (*FAMILIES, "earthquake", "volcano", "measured")
"""Families of motion."""
RANGES = {"coherence": (0.0, 1.0), "spacing": (1e-3, math.inf), "moved": (0.0, 1e3)}
"""What ranges of a recipe must lie within."""
LOOKED_AT = 33
"""Rows and columns of points at which the displacement of a motion is looked at."""
SMALLEST = 16
"""Pixels of an image that any sensor can render."""


@dataclass(frozen=True)
class Recipe:
    """Proportions and ranges of what is drawn."""

    size: int = 256
    """Rows and columns, pixels."""
    seed: int = 0
    """Recipes that differ in nothing else give other samples."""
    split: str = "train"
    """"train", "validation" or "test": separate random numbers, and separate scenes of the bank."""
    motions: tuple[tuple[str, float], ...] = (
        ("zero", 0.10),
        ("constant", 0.08),
        ("ramp", 0.08),
        ("earthquake", 0.28),
        ("glacier", 0.10),
        ("outlet", 0.05),
        ("measured", 0.05),
        ("landslide", 0.09),
        ("waves", 0.05),
        ("brownian", 0.05),
        ("bowl", 0.04),
        ("volcano", 0.03),
    )
    """Families and their weights: a quarter is stable ground, shifts and ramps. Without a bank
    that has measured fields, the others share what "measured" would have."""
    radar: float = 0.8
    """Share of radar pairs; the others are optical."""
    products: str = "mixed"
    """Which radars: "mixed", of any response, sampling and number of looks; "sentinel1", the ground
    range products and SLC of its wide swath mode; or "any", one as often as the other."""
    plain: float = 0.5
    """Share of radar pairs of uniform backscatter: nothing to see but speckle."""
    real: float = 0.5
    """Share of the other pairs that show crops of the bank, where there is one."""
    dates: float = 0.5
    """Share of crops that show two dates of one place, where the bank has them."""
    same: float = 0.25
    """Share of invented optical scenes in which nothing but the ground's motion lies between the
    dates; with 1 all optical pairs are such, crops and stripes too, without clouds."""
    patchy: float = 0.0
    """Share of radar pairs, but those of invented land, whose coherence changes from patch to
    patch, whatever they show, all over `coherence`."""
    textured: float = 0.0
    """Share of radar pairs of uniform backscatter that have texture all the same, which both dates
    share: up to that of towns, where single pixels stand out."""
    quantised: float = 0.0
    """Share of radar pairs whose amplitudes are whole numbers, 15 to 500 on average; products of
    Sentinel-1 have about 30 on water and 100 to 300 on land."""
    lost: float = 0.08
    """Share of pairs that have nothing in common to be measured by: of two places, or, of radar,
    less coherent than `coherence`."""
    coherence: tuple[float, float] = (0.25, 1.0)
    """Range of the coherence of the other radar pairs, before what ruptures, slides and time take
    away."""
    spacing: tuple[float, float] = (0.5, 30.0)
    """Of the pixels, metres: how large faults and magma chambers appear."""
    moved: tuple[float, float] = (0.3, 10.0)
    """Range of the largest displacement of earthquakes and volcanoes in an image, pixels: others
    are scaled into it. Half of them would be too small to be seen."""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn, before a long run begins."""
        _check_motions(self.motions)
        for name, choices in (("split", SPLITS), ("products", PRODUCTS)):
            if getattr(self, name) not in choices:
                raise GroundshiftError(
                    f"{name}={getattr(self, name)!r} is not known; choose one of "
                    f"{', '.join(choices)}"
                )
        if self.size < SMALLEST or self.seed < 0:
            raise GroundshiftError(
                f"size={self.size} and seed={self.seed}: pass size={SMALLEST} or more pixels and "
                "seed=0 or more"
            )
        for name in (
            "radar",
            "plain",
            "real",
            "dates",
            "same",
            "patchy",
            "textured",
            "quantised",
            "lost",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise GroundshiftError(f"{name}={getattr(self, name)} is no share; pass 0 to 1")
        for name, (least, most) in RANGES.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise GroundshiftError(
                    f"{name}={getattr(self, name)} is no range within {least:g} to {most:g}; "
                    "pass two numbers, the smaller one first"
                )


def _check_motions(motions: Sequence[tuple[str, float]]) -> None:
    """Refuse families that are not known, and weights of nothing."""
    for name, _ in motions:
        if name not in KNOWN:
            close = get_close_matches(name, KNOWN, 1)
            meant = f"did you mean {close[0]!r}? " if close else ""
            raise GroundshiftError(
                f"unknown family of motion {name!r}; {meant}there are: {', '.join(KNOWN)}"
            )
    weights = [weight for _, weight in motions]
    if not weights or min(weights) < 0 or sum(weights) <= 0:
        raise GroundshiftError("the weights of motions must be positive; give one family at least")


def check(recipe: Recipe, bank: Bank | None) -> None:
    """Refuse what no sample of a recipe can be drawn from.

    Raises
    ------
    GroundshiftError
        If it asks for nothing but measured fields, and there are none.
    """
    if {name for name, weight in recipe.motions if weight} == {"measured"}:
        fields_of(recipe, bank)


def fields_of(recipe: Recipe, bank: Bank | None) -> Sequence[MotionField]:
    """Return the measured fields of a recipe's split; an error if there are none."""
    found = () if bank is None else bank.motions_of(recipe.split)
    if not found:
        raise GroundshiftError(
            'motions "measured" need a bank with fields of this split; pack one with '
            "groundshift pack --motions FOLDER"
        )
    return found


class Draw(NamedTuple):
    """A sample and what it is."""

    sample: Sample
    family: str
    sensor: str
    """"radar" or "optical"."""
    motion: Motion
    """From image to image: the sample's truth at any coordinate."""
    ground: Motion
    """Of the ground alone, without what a scanner adds; the same if it adds nothing."""


def draw(
    recipe: Recipe, index: int, bank: Bank | None = None, device: torch.device | str = "cpu"
) -> Draw:
    """Make one sample of a recipe.

    Parameters
    ----------
    recipe
        What to draw.
    index
        Which sample.
    bank
        Texture and motion of real images; without one, all scenes are invented.
    device
        Where to render.
    """
    rng = np.random.default_rng((recipe.seed, SPLITS[recipe.split], index))
    family = _family(recipe, bank, rng)
    ground = motion_of(family, rng, recipe, bank)
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
    texture = Texture(bank, recipe.split, recipe.real, recipe.dates)
    lost = bool(rng.random() < recipe.lost)
    if rng.random() < recipe.radar:
        shares = RadarShares(
            recipe.plain,
            recipe.coherence,
            lost,
            recipe.products,
            recipe.patchy,
            recipe.quantised,
            recipe.textured,
        )
        sample = radar_scene.render(family, ground, recipe.size, shares, texture, rng, generator)
        return Draw(sample, family, "radar", ground, ground)
    shares = OpticalShares(recipe.same, lost)
    sample, motion = optical_scene.render(ground, recipe.size, shares, texture, rng, generator)
    return Draw(sample, family, "optical", motion, ground)


def motion_of(
    family: str, rng: np.random.Generator, recipe: Recipe, bank: Bank | None = None
) -> Motion:
    """Draw a motion of a family; "measured" ones need a bank that has some."""
    if family in FAMILIES:
        return FAMILIES[family](rng, recipe.size)
    if family == "measured":
        return measured(rng, recipe.size, fields_of(recipe, bank))
    low, high = np.log(recipe.spacing)
    spacing = float(np.exp(rng.uniform(low, high)))
    motion = (earthquake if family == "earthquake" else volcano)(rng, recipe.size, spacing)
    return _visible(motion, recipe, rng)


def _visible(motion: Motion, recipe: Recipe, rng: np.random.Generator) -> Motion:
    """Scale a motion whose largest displacement is out of range to one within."""
    at = torch.linspace(0, recipe.size - 1, LOOKED_AT, dtype=torch.float64)
    dy, dx = motion(*torch.meshgrid(at, at, indexing="ij"))
    largest = float(torch.hypot(dy, dx).max())
    low, high = recipe.moved
    if low <= largest <= high or largest == 0:
        return motion
    target = np.exp(rng.uniform(*np.log(np.maximum(recipe.moved, 1e-3))))
    return Scaled(motion, float(target) / largest)


def _family(recipe: Recipe, bank: Bank | None, rng: np.random.Generator) -> str:
    """Choose a family, "measured" only where there are fields or nothing else is asked for."""
    weights = dict(recipe.motions)
    if bank is None or not bank.motions_of(recipe.split):
        others = {name: weight for name, weight in weights.items() if name != "measured"}
        weights = others or weights
    total = sum(weights.values())
    return str(rng.choice(list(weights), p=[weight / total for weight in weights.values()]))
